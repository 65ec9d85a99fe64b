//! The task of a delivery that was admitted, and the answer that its request waits for.
//!
//! The task runs apart from the request, so that neither a sender that hangs up nor a dropped
//! request future stops a handler half-way.

use std::{fmt, pin::pin, sync::Arc};

use tokio::time::{Instant, sleep_until};

use super::admission::Admission;
use super::run::Run;
use super::shared::Shared;
use super::stay::{Arrival, Place};
use crate::answer::{Outcome, Rejection, Response};
use crate::dedup::{Fingerprint, Key};
use crate::event::Delivery;
use crate::handler::HandlerError;
use crate::observe::Stage;

/// An authentic and wanted event, on its way to the claim and the handler.
#[must_use]
pub struct Admitted {
    pub(super) shared: Arc<Shared>,
    pub(super) delivery: Delivery,
    pub(super) arrival: Arrival,
    pub(super) place: Place,
}

impl Admitted {
    /// The event, before it is claimed.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The task, to be spawned, which claims the event, runs the handler and settles the claim; and
    /// the answer to be given meanwhile. The task is `Send` if `run` and its future are.
    pub fn run<F>(self, run: impl FnOnce(Delivery) -> F) -> (impl Future<Output = Outcome>, Answer)
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let Self { shared, delivery, arrival, place } = self;
        let ack_deadline = arrival.at + shared.ack_deadline;
        // Of the answer and, until the claim is decided, of the task: hanging up makes no room for
        // more.
        let place = Arc::new(place);
        let task = Task {
            shared: Arc::clone(&shared),
            delivery: delivery.clone(),
            ack_deadline,
            place: Arc::clone(&place),
            handler: run,
        };
        let task = arrival.span.around(task.run());
        (task, Answer { shared, delivery, ack_deadline, arrival, place })
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

struct Task<H> {
    shared: Arc<Shared>,
    delivery: Delivery,
    ack_deadline: Instant,
    place: Arc<Place>,
    handler: H,
}

impl<H> Task<H> {
    async fn run<F>(self) -> Outcome
    where
        H: FnOnce(Delivery) -> F,
        F: Future<Output = Result<(), HandlerError>>,
    {
        let Self { shared, delivery, ack_deadline, place, handler } = self;
        // Entered before the claim: shutdown waits until whatever is claimed is settled.
        let Some(mut visit) = shared.running.enter() else {
            return shared.reject(delivery.endpoint(), Rejection::ShuttingDown);
        };
        let key = Key::new(delivery.endpoint(), delivery.event().id());
        let fingerprint = Fingerprint::of(delivery.body());
        let admission = Admission { shared: &shared, delivery: &delivery, ack_deadline, key, fingerprint };
        let permission = match admission.decide(&mut visit).await {
            Ok(permission) => permission,
            Err(outcome) => return outcome,
        };
        drop(place);
        let run = Run { shared: &shared, delivery: &delivery, claim: permission.claim, ack_deadline };
        let stay = shared.stay(Stage::Handler);
        let outcome = run.execute(handler, visit).await;
        drop(stay);
        drop(permission.permit);
        outcome
    }
}

/// The answer that a request waits for: made by [`Admitted::run`].
#[must_use]
pub struct Answer {
    shared: Arc<Shared>,
    delivery: Delivery,
    ack_deadline: Instant,
    arrival: Arrival,
    place: Arc<Place>,
}

impl Answer {
    /// What to answer: how the spawned task ended, by the ack deadline at the latest. Dropped, it
    /// leaves the task alone.
    pub async fn wait_for<E>(self, task: impl Future<Output = Result<Outcome, E>>) -> Response {
        let task = pin!(task);
        let outcome = tokio::select! {
            biased;
            // A task without an outcome was stopped with its runtime.
            ended = task => ended.unwrap_or(Outcome::Failed),
            () = sleep_until(self.ack_deadline) => Outcome::Unfinished,
        };
        if outcome == Outcome::Unfinished {
            self.shared.observe(|observer| observer.unfinished(&self.delivery));
        }
        drop(self.place);
        self.shared.answer(&self.arrival, outcome)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}
