//! The task's part of the pipeline: the claim, the handler, and what becomes of both.
//!
//! It runs apart from the request, so that neither a sender that hangs up nor a dropped request future stops a handler half-way.

use std::{
    any::Any,
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until, timeout_at},
};

use super::config::StoreFailure;
use super::running::Ending;
use super::shared::Shared;
use crate::answer::Rejection;
use crate::answer::{Outcome, Response};
use crate::dedup::{Claim, Claimed, Fingerprint, Key, Nonce, StoreError};
use crate::event::Delivery;
use crate::handler::{DeadLetter, HandlerError};
use crate::observe::StoreOperation;

/// How often a claim held by another process is asked for: soon at first, then less and less.
const FIRST_POLL: Duration = Duration::from_millis(20);
const LAST_POLL: Duration = Duration::from_secs(1);

/// An authentic and wanted event, on its way to the claim and the handler.
#[must_use]
pub struct Admitted {
    shared: Arc<Shared>,
    delivery: Delivery,
    ack_deadline: Instant,
    place: OwnedSemaphorePermit,
}

impl Admitted {
    pub(crate) fn new(
        shared: Arc<Shared>,
        delivery: Delivery,
        ack_deadline: Instant,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self { shared, delivery, ack_deadline, place }
    }

    /// The event, before it is claimed.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The task, to be spawned, which claims the event, runs the handler and settles the claim; and the answer to be given meanwhile. The task is `Send`
    /// if `run` and its future are.
    pub fn run<F>(self, run: impl FnOnce(Delivery) -> F) -> (impl Future<Output = Outcome>, Answer)
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let Self { shared, delivery, ack_deadline, place } = self;
        // Of the answer and, until the claim is decided, of the task: hanging up makes no room for more.
        let place = Arc::new(place);
        let answer =
            Answer { shared: Arc::clone(&shared), delivery: delivery.clone(), ack_deadline, place: Arc::clone(&place) };
        (shared.process(delivery, ack_deadline, place, run), answer)
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

/// The answer that a request waits for: made by [`Admitted::run`].
#[must_use]
pub struct Answer {
    shared: Arc<Shared>,
    delivery: Delivery,
    ack_deadline: Instant,
    place: Arc<OwnedSemaphorePermit>,
}

impl Answer {
    /// What to answer: how the spawned task ended, by the ack deadline at the latest. Dropped, it leaves the task alone.
    pub async fn wait_for<E>(self, task: impl Future<Output = Result<Outcome, E>>) -> Response {
        let mut task = pin!(task);
        // Most handlers end as soon as they are given the thread: then the deadline's timer need not be set.
        stand_back().await;
        let outcome = tokio::select! {
            biased;
            // A task without an outcome was stopped, or an observer panicked.
            ended = &mut task => ended.unwrap_or(Outcome::Failed),
            () = sleep_until(self.ack_deadline) => Outcome::Unfinished,
        };
        if outcome == Outcome::Unfinished {
            self.shared.observe(|observer| observer.unfinished(&self.delivery));
        }
        drop(self.place);
        outcome.response()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

impl Shared {
    /// The claim, then the handler, then what became of it.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` holds its arguments twice, and the allocator takes longer for large tasks"
    )]
    fn process<F>(
        self: Arc<Self>,
        delivery: Delivery,
        ack_deadline: Instant,
        place: Arc<OwnedSemaphorePermit>,
        run: impl FnOnce(Delivery) -> F,
    ) -> impl Future<Output = Outcome>
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        async move {
            // Entered before the claim: shutdown waits until whatever is claimed is settled.
            let Some(mut visit) = self.running.enter() else { return self.reject(Rejection::ShuttingDown) };
            let key = Key::new(&self.endpoint, delivery.event().id());
            let fingerprint = Fingerprint::of(delivery.body());
            let mut claim = match self.claim(&delivery, &key, fingerprint, ack_deadline).await {
                Ok(claim) => claim,
                Err(outcome) => return outcome,
            };
            drop(place);
            if !visit.run(&key, fingerprint) {
                self.end(&delivery, &mut claim, StoreOperation::Release).await;
                return self.reject(Rejection::ShuttingDown);
            }
            let started = Instant::now();
            let end = self.run(&delivery, claim.as_ref(), run).await;
            let outcome = self.settle(&delivery, &mut claim, end, started).await;
            visit.end(outcome);
            outcome
        }
    }

    /// Wins the claim, or tells what to answer. `None` is the right to run without one, where the user chose so.
    async fn claim(
        &self,
        delivery: &Delivery,
        key: &Key,
        fingerprint: Fingerprint,
        ack_deadline: Instant,
    ) -> Result<Option<Claim>, Outcome> {
        let nonce = Nonce::fresh();
        let mut pause = FIRST_POLL;
        loop {
            let retry_after = match self.claims.claim(key, fingerprint, nonce).await {
                Ok(Claimed::Won(claim)) => return Ok(Some(claim)),
                Ok(Claimed::Done { same_body }) => return Err(self.duplicate(delivery, same_body)),
                Ok(Claimed::InProgress { retry_after }) => retry_after,
                Err(error) => {
                    self.observe(|observer| observer.store_error(delivery, StoreOperation::Claim, &error));
                    return match self.store_failure {
                        StoreFailure::RunWithoutDedup => Ok(None),
                        StoreFailure::Refuse => {
                            self.claims.abandon(key, fingerprint, nonce);
                            Err(self.reject(Rejection::StoreUnavailable))
                        }
                    };
                }
            };
            // By the ack deadline at the latest the sender is answered; until then the other run may end.
            let waited = Box::pin(timeout_at(ack_deadline, self.wait(key, fingerprint, retry_after, &mut pause)));
            let waited = tokio::select! {
                biased;
                waited = waited => waited,
                () = Box::pin(self.running.drain_ended()) => return Err(self.reject(Rejection::ShuttingDown)),
            };
            match waited {
                Err(_) => return Err(Outcome::Unfinished),
                Ok(None) => {}
                Ok(Some((Outcome::Handled | Outcome::DeadLettered, same_body))) => {
                    return Err(self.duplicate(delivery, same_body));
                }
                Ok(Some((outcome, same_body))) => {
                    self.observe(|observer| observer.waited_in_vain(delivery, outcome, same_body));
                    return Err(outcome);
                }
            }
        }
    }

    /// Waits for the run of another delivery in this process, or until the store may be asked again.
    async fn wait(
        &self,
        key: &Key,
        fingerprint: Fingerprint,
        retry_after: Duration,
        pause: &mut Duration,
    ) -> Option<(Outcome, bool)> {
        match self.running.wait_for(key, fingerprint).await {
            Ending::Outcome(outcome, same_body) => Some((outcome, same_body)),
            Ending::Vanished => None,
            Ending::Elsewhere => {
                // A lease that is about to lapse may yet be renewed: no store is asked again at once.
                let lapses = if retry_after < FIRST_POLL { *pause } else { retry_after };
                sleep((*pause).min(lapses)).await;
                *pause = (*pause * 2).min(LAST_POLL);
                None
            }
        }
    }

    /// Runs the handler to its end, or to the end of the drain; renews the lease meanwhile.
    async fn run<F>(&self, delivery: &Delivery, claim: Option<&Claim>, run: impl FnOnce(Delivery) -> F) -> End
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let mut attempt = pin!(self.attempt(delivery, run));
        // Most handlers end without waiting. What goes on beside the others is only made for them: a task is moved with room for all of it.
        if let Poll::Ready(end) = poll_fn(|cx| Poll::Ready(attempt.as_mut().poll(cx))).await {
            return end;
        }
        let beside = Box::pin(async {
            tokio::select! {
                () = self.keep(delivery, claim) => {}
                () = self.running.drain_ended() => {}
            }
        });
        tokio::select! {
            biased;
            end = attempt => end,
            () = beside => End::Drained,
        }
    }

    /// Runs the handler; buries what it says can never be handled.
    async fn attempt<F>(&self, delivery: &Delivery, run: impl FnOnce(Delivery) -> F) -> End
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let delivered = delivery.clone();
        let returned = catch_panic(move || run(delivered)).await;
        let Err(error) = returned.unwrap_or_else(|panic| Err(HandlerError::retryable(format!("the handler {panic}"))))
        else {
            return End::Succeeded;
        };
        let Some(sink) = self.dead_letters.as_ref().filter(|_| error.is_permanent()) else {
            return End::Failed(error);
        };
        let buried = catch_panic(|| sink.bury(DeadLetter { delivery, error: &error })).await;
        match buried.unwrap_or_else(|panic| Err(format!("the sink {panic}").into())) {
            Ok(()) => End::Buried(error),
            Err(sink_error) => {
                self.observe(|observer| observer.dead_letter_failed(delivery, &sink_error));
                End::Failed(error)
            }
        }
    }

    /// Renews the lease at a third of it, for ever.
    async fn keep(&self, delivery: &Delivery, claim: Option<&Claim>) {
        let Some(claim) = claim else { return std::future::pending().await };
        loop {
            sleep(self.claims.lease / 3).await;
            match claim.renew().await {
                Ok(true) => {}
                Ok(false) => {
                    self.observe(|observer| observer.claim_lost(delivery));
                    return std::future::pending().await;
                }
                Err(error) => self.observe(|observer| observer.store_error(delivery, StoreOperation::Renew, &error)),
            }
        }
    }

    /// Completes or releases the claim as the handler's end demands.
    async fn settle(&self, delivery: &Delivery, claim: &mut Option<Claim>, end: End, started: Instant) -> Outcome {
        let operation = match &end {
            End::Succeeded | End::Buried(_) => StoreOperation::Complete,
            End::Failed(_) | End::Drained => StoreOperation::Release,
        };
        self.end(delivery, claim, operation).await;
        match end {
            End::Succeeded => {
                self.observe(|observer| observer.handled(delivery, started.elapsed()));
                Outcome::Handled
            }
            End::Buried(error) => {
                self.observe(|observer| observer.dead_lettered(delivery, &error));
                Outcome::DeadLettered
            }
            End::Failed(error) => {
                self.observe(|observer| observer.failed(delivery, &error, started.elapsed()));
                Outcome::Failed
            }
            End::Drained => self.reject(Rejection::ShuttingDown),
        }
    }

    async fn end(&self, delivery: &Delivery, claim: &mut Option<Claim>, operation: StoreOperation) {
        let Some(claim) = claim else { return };
        let told = claim.is_lost();
        // Boxed, as is all that stores do which are away: a task is moved before it runs, with room for its longest way.
        let ended = match operation {
            StoreOperation::Complete => match claim.complete_at_once() {
                Some(held) => Ok(held),
                None => Box::pin(claim.complete()).await,
            },
            _ => Box::pin(claim.release()).await,
        };
        self.observe_end(delivery, operation, told, ended);
    }

    /// `told` if the observers know already that the claim was lost.
    fn observe_end(&self, delivery: &Delivery, operation: StoreOperation, told: bool, end: Result<bool, StoreError>) {
        match end {
            Ok(false) if !told => self.observe(|observer| observer.claim_lost(delivery)),
            Ok(_) => {}
            Err(error) => self.observe(|observer| observer.store_error(delivery, operation, &error)),
        }
    }

    fn duplicate(&self, delivery: &Delivery, same_body: bool) -> Outcome {
        self.observe(|observer| observer.duplicate(delivery, same_body));
        Outcome::Duplicate
    }

    fn reject(&self, rejection: Rejection) -> Outcome {
        self.observe(|observer| observer.rejected(&self.endpoint, rejection));
        Outcome::Rejected(rejection)
    }
}

/// How a handler's run ended.
enum End {
    Succeeded,
    Failed(HandlerError),
    /// It can never succeed, and the dead-letter sink has the event.
    Buried(HandlerError),
    /// The drain deadline passed first.
    Drained,
}

/// Lets what is ready run first, once. `tokio::task::yield_now` does the same with an allocation.
async fn stand_back() {
    let mut stood_back = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut stood_back, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The output of the future that `start` makes, or what the panic of either said.
fn catch_panic<F: Future>(start: impl FnOnce() -> F) -> impl Future<Output = Result<F::Output, String>> {
    let started = catch_unwind(AssertUnwindSafe(start));
    async {
        let mut future = pin!(started.map_err(told)?);
        let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        caught.await.map_err(told)
    }
}

/// What a panic said.
fn told(panic: Box<dyn Any + Send>) -> String {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", message.unwrap_or("no message"))
}
