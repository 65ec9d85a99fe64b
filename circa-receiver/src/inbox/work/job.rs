//! One run of a stored event, and what becomes of it (contract, section 8a).
//!
//! 1. an event whose attempts are used up, or which cannot be read back, is buried before it runs;
//! 2. the handler runs in a span, its lease renewed by the keeper, within its time limit and the
//!    drain;
//! 3. the run is settled, however long the inbox is away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::defaults;
use super::permit::RunPermit;
use super::shared::Shared;
use crate::answer::Outcome;
use crate::completion::Completion;
use crate::error::StoreError;
use crate::event::Delivery;
use crate::handler::{HandlerError, cut};
use crate::inbox::calls::Calls;
use crate::inbox::head::StoredHead;
use crate::inbox::lease::{Lease, Leased};
use crate::inbox::settlement::{Cause, Settlement};
use crate::observe::{Observers, RunSpan, StoreOperation};
use crate::run::{Attempt, Holder, Visit, attempt, call, timed_out};

/// Outcome and class of error of a run whose lease has passed to another worker.
const LOST: (&str, Option<&str>) = ("lost", Some("lease_lost"));

/// One run of a stored event.
pub(super) struct Job {
    shared: Arc<Shared>,
    leased: Leased,
    /// With what the handler may complete the run itself.
    completion: Completion,
    /// When the inbox was asked for it.
    asked: Instant,
    /// Shutdown waits for it.
    _visit: Visit,
    /// Of the handlers that may run at once.
    _permit: RunPermit,
}

impl Job {
    pub(super) fn new(shared: Arc<Shared>, leased: Leased, asked: Instant, visit: Visit, permit: RunPermit) -> Self {
        let completion = leased.completion_of(shared.retention, shared.drops_bodies);
        Self { shared, leased, completion, asked, _visit: visit, _permit: permit }
    }

    /// Gives back what has not begun. Where the inbox is away, the lease lapses.
    pub(super) async fn give_back(shared: Arc<Shared>, leased: Leased) {
        if let Ok(true) = shared.settle(&leased, Settlement::GiveBack).await {
            shared.observers.tell(|observer| observer.given_back(leased.entry().endpoint()));
        }
    }

    /// Runs the handler and settles the run.
    pub(super) async fn run(self) {
        let leased = &self.leased;
        let (delivery, head) = match leased.entry().restore() {
            Ok(restored) => restored,
            Err(error) => {
                // Observers get deliveries, and there is none; the dead letter shows the error.
                let settlement =
                    Settlement::Bury { cause: Cause::Unreadable, error: cut(&error.to_string()).to_owned() };
                self.settle(None, settlement).await;
                return;
            }
        };
        let span = RunSpan::new(&delivery, leased.attempt(), head.get("traceparent"));
        span.around(self.run_in(&span, &delivery, head)).await;
    }

    async fn run_in(&self, span: &RunSpan, delivery: &Delivery, head: StoredHead) {
        let Self { shared, leased, .. } = self;
        let holder = self.holder(delivery);
        if leased.attempt() > shared.limits(leased.entry()).max_attempts {
            let error = HandlerError::permanent("its attempts are used up: the last one ended with its process");
            let settlement = Settlement::Bury { cause: Cause::Attempts, error: error.to_string() };
            if let End::AsSettled = self.settle_in(span, &holder, &settlement, Duration::ZERO).await {
                shared.observers.tell(|observer| observer.dead_lettered(delivery, &error));
            }
            return;
        }
        match self.is_held().await {
            Ok(true) => self.attempt(span, &holder, head).await,
            Ok(false) => {
                holder.lost();
                span.ended(LOST.0, LOST.1, Duration::ZERO);
            }
            Err(_) => self.give_back_in(span, &holder, Duration::ZERO).await,
        }
    }

    /// Whether no other worker has the lease before the run begins. Where the process may have
    /// stood still since it asked for events, the lease is renewed.
    async fn is_held(&self) -> Result<bool, StoreError> {
        let Self { shared, leased, .. } = self;
        if self.asked.elapsed() < shared.lease / 2 {
            return Ok(true);
        }
        shared.calls.renew(leased.lease(), shared.lease).await
    }

    async fn attempt(&self, span: &RunSpan, holder: &Arc<LeaseHolder>, head: StoredHead) {
        let Self { shared, leased, .. } = self;
        let delivery = &holder.delivery;
        // A worker leases what its routes take.
        let Some(handler) = shared.handler(leased.entry()) else {
            return self.give_back_in(span, holder, Duration::ZERO).await;
        };
        let started = Instant::now();
        // Until the run is settled: while the inbox is away the lease is renewed as soon as it is
        // back.
        let _kept = shared.keeper.keep(Arc::clone(holder) as Arc<dyn Holder>, shared.lease / 3);
        let stopped = async {
            tokio::select! {
                () = shared.running.drain_ended() => {}
                () = holder.lost.notified() => {}
            }
        };
        let handled = call(delivery, |delivery| handler.call(delivery.completed_with(self.completion.clone()), head));
        let limit = shared.limits(leased.entry()).handler_timeout;
        let result = match attempt(handled, limit, stopped).await {
            Attempt::Ended(result) => result,
            Attempt::TimedOut => Err(timed_out(limit)),
            Attempt::Stopped if holder.is_lost.load(Ordering::Relaxed) => {
                return span.ended(LOST.0, LOST.1, started.elapsed());
            }
            Attempt::Stopped => return self.give_back_in(span, holder, started.elapsed()).await,
        };
        let (settlement, elapsed) = (self.settlement(&result), started.elapsed());
        let settled = match self.settle_in(span, holder, &settlement, elapsed).await {
            End::AsSettled => Some(&settlement),
            End::AsCompleted | End::Lost => None,
        };
        self.tell_end(delivery, &result, settled, elapsed);
    }

    /// Tells whoever waits for the run, and the observers, how it ended; `None` where its handler
    /// has completed it, or its lease was lost.
    fn tell_end(
        &self,
        delivery: &Delivery,
        result: &Result<(), HandlerError>,
        settlement: Option<&Settlement>,
        elapsed: Duration,
    ) {
        let Self { shared, leased, .. } = self;
        let outcome = if result.is_ok() { Outcome::Handled } else { Outcome::Failed };
        shared.running.tell_end(&leased.entry().key(), outcome);
        shared.observers.tell(|observer| match (result, settlement) {
            (Ok(()), _) => observer.handled(delivery, elapsed),
            (Err(error), Some(Settlement::Bury { .. })) => observer.dead_lettered(delivery, error),
            (Err(error), _) => observer.failed(delivery, error, elapsed),
        });
        if let Some(after) = settlement.and_then(Settlement::again_after) {
            shared.observers.tell(|observer| observer.retried(delivery, after));
        }
    }

    fn holder(&self, delivery: &Delivery) -> Arc<LeaseHolder> {
        Arc::new(LeaseHolder {
            calls: self.shared.calls.clone(),
            observers: Arc::clone(&self.shared.observers),
            delivery: delivery.clone(),
            lease: self.leased.lease(),
            completion: self.completion.clone(),
            duration: self.shared.lease,
            is_lost: AtomicBool::new(false),
            lost: Notify::new(),
        })
    }

    /// What becomes of the event after this result.
    fn settlement(&self, result: &Result<(), HandlerError>) -> Settlement {
        let Self { shared, leased, .. } = self;
        let Err(failure) = result else {
            return Settlement::complete(shared.retention, shared.drops_bodies);
        };
        let (error, limits) = (cut(&failure.to_string()).to_owned(), shared.limits(leased.entry()));
        if failure.is_permanent() {
            return Settlement::Bury { cause: Cause::Permanent, error };
        }
        let delay = failure.delay();
        if let Some(after) = delay.filter(|_| leased.postponed() < defaults::MAX_POSTPONEMENTS) {
            return Settlement::Postpone { after, error };
        }
        if leased.attempt() >= limits.max_attempts {
            return Settlement::Bury { cause: Cause::Attempts, error };
        }
        Settlement::Retry { after: delay.unwrap_or_else(|| limits.backoff.after(leased.attempt())), error }
    }

    /// Gives the event back, in the inbox and in the run's span.
    async fn give_back_in(&self, span: &RunSpan, holder: &LeaseHolder, elapsed: Duration) {
        if let End::AsSettled = self.settle_in(span, holder, &Settlement::GiveBack, elapsed).await {
            self.shared.observers.tell(|observer| observer.given_back(holder.delivery.endpoint()));
        }
    }

    /// Ends the run in the inbox, and in its span.
    async fn settle_in(&self, span: &RunSpan, holder: &LeaseHolder, settlement: &Settlement, elapsed: Duration) -> End {
        let end = self.settle(Some(holder), settlement.clone()).await;
        let (outcome, error_type) = match end {
            End::AsSettled => settlement.outcome(),
            End::AsCompleted => (Outcome::Handled.as_str(), None),
            End::Lost => LOST,
        };
        span.ended(outcome, error_type, elapsed);
        end
    }

    /// Ends the run in the inbox, and tries for as long as that is away: no other worker can have
    /// the event before the inbox is back.
    async fn settle(&self, holder: Option<&LeaseHolder>, settlement: Settlement) -> End {
        let Self { shared, leased, .. } = self;
        let mut pauses = defaults::AWAY_PAUSES;
        let mut failed = false;
        loop {
            let error = match shared.settle(leased, settlement.clone()).await {
                Ok(false) if self.completion.is_used() => return End::AsCompleted,
                Ok(false) if !failed => {
                    holder.inspect(|holder| holder.lost());
                    return End::Lost;
                }
                // `false` after a call whose answer was lost: that call has settled it.
                Ok(_) => return End::AsSettled,
                Err(error) => error,
            };
            if let Some(LeaseHolder { delivery, .. }) = holder.filter(|_| !failed) {
                let operation = StoreOperation::Settle;
                shared.observers.tell(|observer| observer.store_error(delivery, operation, &error));
            }
            failed = true;
            sleep(pauses.next()).await;
        }
    }
}

/// What has become of a run that was settled.
enum End {
    /// What the settlement says.
    AsSettled,
    /// Its handler has completed it in a transaction of its own: the event is done, whatever the
    /// handler returned afterwards.
    AsCompleted,
    /// Its lease has passed to another worker, whose run decides.
    Lost,
}

/// A run whose lease is renewed.
struct LeaseHolder {
    calls: Calls,
    observers: Arc<Observers>,
    delivery: Delivery,
    lease: Lease,
    completion: Completion,
    duration: Duration,
    is_lost: AtomicBool,
    lost: Notify,
}

#[async_trait]
impl Holder for LeaseHolder {
    async fn renew(&self) -> Result<bool, StoreError> {
        let is_held = self.calls.renew(self.lease, self.duration).await?;
        // What its handler has completed has no lease any more, and has lost none.
        Ok(is_held || self.completion.is_used())
    }

    fn renewed(&self, elapsed: Duration) {
        let (operation, endpoint) = (StoreOperation::Renew, self.delivery.endpoint());
        self.observers.tell(|observer| observer.store_called(endpoint, operation, elapsed));
    }

    /// Another worker runs the event: this run is stopped. Told once, by whichever call finds it.
    fn lost(&self) {
        if !self.is_lost.swap(true, Ordering::Relaxed) {
            self.observers.tell(|observer| observer.claim_lost(&self.delivery));
        }
        self.lost.notify_one();
    }

    fn failed(&self, error: &StoreError) {
        self.observers.tell(|observer| observer.store_error(&self.delivery, StoreOperation::Renew, error));
    }
}
