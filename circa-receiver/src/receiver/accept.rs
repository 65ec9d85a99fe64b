//! Storing a delivery in the inbox, in place of running it (contract, section 8a).

use tokio::time::{Instant, sleep_until, timeout_at};

use super::duplicate::Duplicate;
use super::task::Admitted;
use crate::answer::{Outcome, Rejection, Response};
use crate::dedup::{Key, Nonce};
use crate::error::StoreError;
use crate::inbox::{AcceptRequest, Accepted, Calls, Entry};
use crate::observe::StoreOperation;
use crate::run::Awaited;
use crate::verify::Head;

impl Admitted {
    /// Stores the event, and gives the answer. Dropped at any await, it may have been stored; then
    /// the sender has no answer, and its retry is a duplicate.
    pub(super) async fn accept(self, inbox: &Calls, head: &impl Head) -> Response {
        let ack_deadline = self.arrival.at + self.shared.ack_deadline;
        let outcome = Box::pin(self.outcome(inbox, head, ack_deadline)).await;
        drop(self.place);
        self.shared.answer(&self.arrival, outcome)
    }

    async fn outcome(&self, inbox: &Calls, head: &impl Head, ack_deadline: Instant) -> Outcome {
        let Self { shared, delivery, .. } = self;
        // Shutdown waits until it is answered.
        let Some(_visit) = shared.running.enter() else {
            return shared.reject(delivery.endpoint(), Rejection::ShuttingDown);
        };
        // Before it is stored: the worker may have run it before this task goes on.
        let key = || Key::new(delivery.endpoint(), delivery.event().id());
        let awaited = shared.answer_when_handled.then(|| shared.running.await_end(&key()));
        let outcome = self.store(inbox, head, ack_deadline).await;
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
            () = self.shared.running.drain_ended() => Outcome::Accepted,
        }
    }

    async fn store(&self, inbox: &Calls, head: &impl Head, ack_deadline: Instant) -> Outcome {
        let Self { shared, delivery, .. } = self;
        let fault = delivery.event().fault();
        let mut request = AcceptRequest::new(Entry::new(delivery, head), Nonce::fresh());
        if let Some(fault) = fault {
            request = request.unreadable(fault.to_string());
        }
        let mut duplicate = Duplicate::new(shared, delivery, ack_deadline);
        loop {
            let call = || async {
                let accepted = timeout_at(ack_deadline, inbox.accept(request.clone())).await;
                accepted.unwrap_or(Err(StoreError::Timeout))
            };
            match shared.retry(delivery, StoreOperation::Accept, ack_deadline, call).await {
                Ok(Accepted::New) if fault.is_some() => return Outcome::DeadLettered,
                Ok(Accepted::New) => {
                    shared.observe(|observer| observer.accepted(delivery));
                    return Outcome::Accepted;
                }
                Ok(Accepted::Known { same_body }) => {
                    shared.observe(|observer| observer.duplicate(delivery, same_body));
                    return Outcome::Duplicate;
                }
                // A receiver in dedup mode runs it, and may fail.
                Ok(Accepted::InProgress { retry_after }) => {
                    if let Err(outcome) = duplicate.wait_for_store(retry_after).await {
                        if outcome == Outcome::Unfinished {
                            shared.observe(|observer| observer.unfinished(delivery));
                        }
                        return outcome;
                    }
                }
                Err(_) => return shared.reject(delivery.endpoint(), Rejection::StoreUnavailable),
            }
        }
    }
}
