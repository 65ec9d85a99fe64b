//! Storing a delivery in the inbox, in place of running it (contract, section 8a).

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::duplicate::Duplicate;
use super::shared::Shared;
use crate::answer::{Outcome, Rejection};
use crate::dedup::{Key, Nonce};
use crate::event::Delivery;
use crate::inbox::{AcceptRequest, Accepted, Calls, Entry};
use crate::observe::StoreOperation;
use crate::run::Awaited;
use crate::verify::Head;

impl Shared {
    /// Stores an event, and says what its sender is answered. Dropped at any await, it may have
    /// been stored; then the sender has no answer, and its retry is a duplicate.
    pub(super) async fn accept(
        self: &Arc<Self>,
        inbox: &Calls,
        delivery: &Delivery,
        head: &impl Head,
        ack_deadline: Instant,
    ) -> Outcome {
        // Shutdown waits until it is answered.
        let Some(_visit) = self.running.enter() else { return self.reject(Rejection::ShuttingDown) };
        // Before it is stored: the worker may have run it before this task goes on.
        let key = || Key::new(delivery.endpoint(), delivery.event().id());
        let awaited = self.answer_when_handled.then(|| self.running.await_end(&key()));
        let outcome = self.store(inbox, delivery, head, ack_deadline).await;
        match awaited {
            Some(awaited) if outcome == Outcome::Accepted => self.outcome_of_run(awaited, ack_deadline).await,
            _ => outcome,
        }
    }

    /// What is answered to a delivery whose event is safe: that it was handled, if it was by the
    /// ack deadline.
    async fn outcome_of_run(&self, mut awaited: Awaited, ack_deadline: Instant) -> Outcome {
        tokio::select! {
            biased;
            ended = awaited.ended() => {
                if ended == Some(Outcome::Handled) { Outcome::Handled } else { Outcome::Accepted }
            }
            () = sleep_until(ack_deadline) => Outcome::Accepted,
            () = self.running.drain_ended() => Outcome::Accepted,
        }
    }

    async fn store(
        self: &Arc<Self>,
        inbox: &Calls,
        delivery: &Delivery,
        head: &impl Head,
        ack_deadline: Instant,
    ) -> Outcome {
        let fault = delivery.event().fault();
        let mut request = AcceptRequest::new(Entry::new(delivery, head), Nonce::fresh());
        if let Some(fault) = fault {
            request = request.unreadable(fault.to_string());
        }
        let mut duplicate = Duplicate::new(self, delivery, ack_deadline);
        loop {
            let call = || inbox.accept(request.clone());
            match self.repeat(delivery, StoreOperation::Accept, ack_deadline, call).await {
                Ok(Accepted::New) if fault.is_some() => return Outcome::DeadLettered,
                Ok(Accepted::New) => {
                    self.observe(|observer| observer.accepted(delivery));
                    return Outcome::Accepted;
                }
                Ok(Accepted::Known { same_body }) => {
                    self.observe(|observer| observer.duplicate(delivery, same_body));
                    return Outcome::Duplicate;
                }
                // A receiver in dedup mode runs it, and may fail.
                Ok(Accepted::InProgress { retry_after }) => {
                    if let Err(outcome) = duplicate.wait_for_store(retry_after).await {
                        if outcome == Outcome::Unfinished {
                            self.observe(|observer| observer.unfinished(delivery));
                        }
                        return outcome;
                    }
                }
                Err(_) => return self.reject(Rejection::StoreUnavailable),
            }
        }
    }
}
