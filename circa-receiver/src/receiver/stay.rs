//! What observers get of a delivery as a whole: the stages where it is, and its answer.

use std::sync::Arc;

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::shared::Shared;
use crate::answer::{Outcome, Response};
use crate::observe::{DeliverySpan, Stage, StoreOperation};

/// A delivery is at a stage until this is dropped: also where its request is dropped.
pub(super) struct Stay {
    shared: Arc<Shared>,
    stage: Stage,
}

/// A place among the authentic deliveries in flight.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _stay: Option<Stay>,
}

/// When a delivery's head arrived, and the span that it has been in since.
pub(super) struct Arrival {
    pub(super) at: Instant,
    pub(super) span: DeliverySpan,
}

impl Shared {
    /// A delivery that arrives now.
    pub(super) fn arrival(&self) -> Arrival {
        Arrival { at: Instant::now(), span: DeliverySpan::new(&self.endpoint, self.verifier.sender()) }
    }

    /// `None` where nobody observes.
    pub(super) fn stay(self: &Arc<Self>, stage: Stage) -> Option<Stay> {
        if self.observers.is_empty() {
            return None;
        }
        self.observe(|observer| observer.entered(&self.endpoint, stage));
        Some(Stay { shared: Arc::clone(self), stage })
    }

    /// Takes a place with this permit.
    pub(super) fn place_with(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        Place { _permit: permit, _stay: self.stay(Stage::Place) }
    }

    /// The answer to a delivery.
    pub(super) fn answer(&self, arrival: &Arrival, outcome: Outcome) -> Response {
        arrival.span.answered(outcome, || arrival.at.elapsed());
        if !self.observers.is_empty() {
            let elapsed = arrival.at.elapsed();
            self.observe(|observer| observer.answered(&self.endpoint, outcome, elapsed));
        }
        outcome.response()
    }

    /// A call of the store, measured where somebody observes.
    pub(super) async fn measured<F: Future>(&self, operation: StoreOperation, call: impl FnOnce() -> F) -> F::Output {
        if self.observers.is_empty() {
            return call().await;
        }
        let started = Instant::now();
        let answer = call().await;
        self.observe(|observer| observer.store_called(&self.endpoint, operation, started.elapsed()));
        answer
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.shared.observe(|observer| observer.left(&self.shared.endpoint, self.stage));
    }
}
