//! The second half of a delivery's task: the handler's run, and what becomes of its claim
//! (contract, section 8).
//!
//! 1. the handler runs, its lease renewed by the keeper, within the time limit and the drain;
//! 2. what can never be handled goes to the dead-letter sink;
//! 3. the claim is completed or released.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, timeout};

use super::defaults::ANSWERED_BEFORE;
use super::shared::Shared;
use crate::answer::{Outcome, Rejection};
use crate::dedup::Claim;
use crate::error::StoreError;
use crate::event::Delivery;
use crate::handler::{DeadLetter, HandlerError};
use crate::observe::StoreOperation;
use crate::panic;
use crate::run::{Attempt, Holder, Kept, Visit, attempt, call, timed_out};

/// One run of a handler.
pub(super) struct Run<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) delivery: &'a Delivery,
    pub(super) claim: Option<Arc<Claim>>,
    pub(super) ack_deadline: Instant,
}

/// How a run ended.
enum End {
    Succeeded,
    Failed(HandlerError),
    /// It can never succeed, and the dead-letter sink has the event.
    Buried(HandlerError),
    /// The drain deadline passed first.
    Drained,
}

impl Run<'_> {
    /// Runs the handler and settles the claim.
    pub(super) async fn execute<F>(self, handler: impl FnOnce(Delivery) -> F, visit: Visit) -> Outcome
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let started = Instant::now();
        let end = {
            // Dropped before the claim is settled: a later renewal would find no claim.
            let _kept = self.claim.as_ref().map(|claim| self.keep(claim));
            self.attempt(handler).await
        };
        self.settle(end, started.elapsed(), visit).await
    }

    /// Has the lease renewed at a third of it.
    fn keep(&self, claim: &Arc<Claim>) -> Kept {
        let (shared, delivery, claim) = (Arc::clone(self.shared), self.delivery.clone(), Arc::clone(claim));
        self.shared.keeper.keep(Arc::new(LeaseHolder { shared, delivery, claim }), self.shared.claims.lease() / 3)
    }

    /// The handler to its end, at most to the time limit or the end of the drain.
    async fn attempt<F>(&self, handler: impl FnOnce(Delivery) -> F) -> End
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let limit = self.shared.run_timeout;
        match attempt(self.handle_or_bury(handler), limit, self.shared.running.drain_ended()).await {
            Attempt::Ended(end) => end,
            Attempt::TimedOut => End::Failed(timed_out(limit)),
            Attempt::Stopped => End::Drained,
        }
    }

    /// Runs the handler; buries what it says can never be handled.
    async fn handle_or_bury<F>(&self, handler: impl FnOnce(Delivery) -> F) -> End
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let Err(error) = call(self.delivery, handler).await else { return End::Succeeded };
        let Some(sink) = self.shared.dead_letters.as_ref().filter(|_| error.is_permanent()) else {
            return End::Failed(error);
        };
        let letter = DeadLetter::new(self.delivery, &error);
        let buried = panic::catch(|| sink.bury(letter)).await;
        match buried.unwrap_or_else(|panic| Err(format!("the sink {panic}").into())) {
            Ok(()) => End::Buried(error),
            Err(sink_error) => {
                self.shared.observe(|observer| observer.dead_letter_failed(self.delivery, &sink_error));
                End::Failed(error)
            }
        }
    }

    /// Completes or releases the claim as the run's end demands, and says what came of it.
    async fn settle(self, end: End, ran: Duration, mut visit: Visit) -> Outcome {
        let Self { shared, delivery, .. } = self;
        let (outcome, is_done) = match &end {
            End::Succeeded => (Outcome::Handled, true),
            End::Buried(_) => (Outcome::DeadLettered, true),
            End::Failed(_) => (Outcome::Failed, false),
            End::Drained => (Outcome::Rejected(Rejection::ShuttingDown), false),
        };
        let unmarked = if is_done {
            self.complete().await
        } else {
            shared.release(delivery, self.claim.as_deref()).await;
            None
        };
        match end {
            End::Succeeded => shared.observe(|observer| observer.handled(delivery, ran)),
            End::Buried(error) => shared.observe(|observer| observer.dead_lettered(delivery, &error)),
            End::Failed(error) => shared.observe(|observer| observer.failed(delivery, &error, ran)),
            End::Drained => _ = shared.reject(delivery.endpoint(), Rejection::ShuttingDown),
        }
        // Only now: shutdown and waiting deliveries see what the observers and the store have seen.
        visit.publish(outcome);
        if let Some(claim) = unmarked {
            let registration = visit.leave_in_background();
            shared.claims.in_background(async move {
                claim.complete_late().await;
                drop(registration);
            });
        }
        outcome
    }

    /// Marks the event done. A claim that could not be marked in time comes back: the sender is
    /// answered as if it had been, and the mark is tried on in the background. Until it is made, or
    /// the lease ends, this run answers further deliveries here.
    async fn complete(&self) -> Option<Arc<Claim>> {
        let Self { shared, delivery, claim, ack_deadline } = self;
        let claim = claim.as_ref()?;
        let left = ack_deadline.saturating_duration_since(Instant::now());
        let complete = async || {
            // No sender waits any more: it was answered 503.
            if left.is_zero() {
                return claim.complete().await;
            }
            let within = left - ANSWERED_BEFORE.min(left / 2);
            timeout(within, claim.complete()).await.unwrap_or(Err(StoreError::Timeout))
        };
        let ended = shared.end_claim(delivery, claim, StoreOperation::Complete, complete).await;
        (!ended).then(|| Arc::clone(claim))
    }
}

/// A run whose lease is renewed.
struct LeaseHolder {
    shared: Arc<Shared>,
    delivery: Delivery,
    claim: Arc<Claim>,
}

#[async_trait]
impl Holder for LeaseHolder {
    async fn renew(&self) -> Result<bool, StoreError> {
        self.claim.renew().await
    }

    fn lost(&self) {
        self.shared.observe(|observer| observer.claim_lost(&self.delivery));
    }

    fn renewed(&self, elapsed: Duration) {
        let (operation, endpoint) = (StoreOperation::Renew, self.delivery.endpoint());
        self.shared.observe(|observer| observer.store_called(endpoint, operation, elapsed));
    }

    fn failed(&self, error: &StoreError) {
        self.shared.observe(|observer| observer.store_error(&self.delivery, StoreOperation::Renew, error));
    }
}
