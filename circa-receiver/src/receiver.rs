//! The pipeline, once for both senders and all frameworks.
//!
//! [`Receiver::receive`] is the request's part: checks 1 to 13, in the contract's order. [`Admitted::run`] is the task's part: the claim and the handler,
//! which neither a sender that hangs up nor a dropped request future stops half-way.

use std::{
    fmt,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use sha2::{Digest, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, sleep, sleep_until, timeout_at},
};

use crate::{
    AnyEvent, Builder, Clock, ConfigWarning, DeadLetter, DeadLetterSink, HandlerError, Head, Mode, Observer, Outcome,
    PortableHandler, Rejection, Response, Routes, Secrets, Sender, StoreFailure, StoreOperation, Verifier, body,
    dedup::{Claim, Claimed, Claims, Fingerprint, Key, Nonce, StoreError},
    delivery::HeadFields,
    event,
    running::{Ending, Running},
};

/// How often a claim held by another process is asked for: soon at first, then less and less.
const FIRST_POLL: Duration = Duration::from_millis(20);
const LAST_POLL: Duration = Duration::from_secs(1);

/// Receives the deliveries of one sender at one endpoint. Cheap to clone; clones share everything.
///
/// ```
/// # use circa_receiver::{AnyEvent, HandlerError, Receiver, Routes, Secret, testing::CircaSigner};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = "whsec_test_0123456789abcdef";
/// # let body = br#"{"id":"evt_1","type":"webhook.test","livemode":false,"data":{}}"#;
/// # let signature = CircaSigner::new(secret).sign_now(body);
/// # let headers = [("circa-signature", signature.as_bytes())];
/// let receiver = Receiver::circa(Secret::new(secret)?).build()?;
/// let routes = Routes::new().fallback(async |event: AnyEvent, _state: ()| -> Result<(), HandlerError> {
///     println!("{}", event.id());
///     Ok(())
/// });
/// let response = receiver.handle(&("POST", &headers[..]), &body[..], &routes, ()).await;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Receiver(Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) verifier: Verifier,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) endpoint: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) max_event_age: Option<Duration>,
    pub(crate) body_limit: usize,
    pub(crate) read_deadline: Duration,
    pub(crate) ack_deadline: Duration,
    pub(crate) drain_deadline: Duration,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) claims: Claims,
    pub(crate) store_failure: StoreFailure,
    pub(crate) dead_letters: Option<Arc<dyn DeadLetterSink>>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) running: Arc<Running>,
    pub(crate) warnings: Vec<ConfigWarning>,
}

/// An authentic event that has arrived at an endpoint.
///
/// `Debug` shows endpoint, sender, id and type, nothing of the body.
#[derive(Clone, Debug)]
pub struct Delivery {
    endpoint: Arc<str>,
    event: AnyEvent,
}

impl Delivery {
    /// The name of the endpoint: [`Builder::endpoint`].
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The event.
    pub fn event(&self) -> &AnyEvent {
        &self.event
    }

    /// The whole body, byte for byte as received and signed.
    pub fn body(&self) -> &Bytes {
        self.event.body()
    }
}

/// What [`Receiver::receive`] made of a request.
#[derive(Debug)]
#[must_use]
pub enum Reception<'r, H> {
    /// The answer is known; no handler runs.
    Answered(Response),
    /// The event is authentic and wanted: spawn [`Admitted::run`] with this handler.
    Admitted(Admitted, &'r H),
}

/// An authentic and wanted event, on its way to the claim and the handler.
#[must_use]
pub struct Admitted {
    shared: Arc<Shared>,
    delivery: Delivery,
    ack_deadline: Instant,
    place: OwnedSemaphorePermit,
}

impl Receiver {
    /// Builds a receiver for Circa's deliveries.
    pub fn circa(secrets: impl Into<Secrets>) -> Builder {
        Builder::new(Sender::CIRCA, Some(secrets.into()))
    }

    /// Builds a receiver for Circularo's deliveries.
    pub fn circularo(secrets: impl Into<Secrets>) -> Builder {
        Builder::new(Sender::CIRCULARO, Some(secrets.into()))
    }

    /// Builds a receiver that takes Circularo's deliveries unsigned, for webhooks created without an `hmacSecret`.
    /// Dangerous: whoever knows the URL can send events.
    pub fn dangerous_circularo_unsigned() -> Builder {
        Builder::new(Sender::CIRCULARO, None)
    }

    /// The sender whose deliveries are received.
    pub fn sender(&self) -> Sender {
        self.0.verifier.sender()
    }

    /// The endpoint's name: [`Builder::endpoint`].
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Settings that are allowed but unwise.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.0.warnings
    }

    /// Replaces all secrets at once, also while requests are in flight: each is compared with one whole set, the old or the new.
    pub fn replace_secrets(&self, secrets: impl Into<Secrets>) {
        self.0.verifier.replace_secrets(secrets);
    }

    /// Forgets an event that was handled, so that it is handled again when it is sent again. `false` if it was not remembered.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the dedup store failed.
    pub async fn forget(&self, event_id: &str) -> Result<bool, StoreError> {
        self.0.claims.forget(&Key::new(&self.0.endpoint, event_id)).await
    }

    /// Stops the intake (503), lets running handlers end until the drain deadline (default 30 s), then stops the rest and releases their claims.
    pub async fn shutdown(&self) {
        self.0.running.drain(Instant::now() + self.0.drain_deadline).await;
    }

    /// Checks one request, up to whether its event is wanted. Nothing is claimed yet, so the future may be dropped at any time.
    pub async fn receive<'r, E, H>(
        &self,
        head: &impl Head,
        body: impl Stream<Item = Result<Bytes, E>>,
        routes: &'r Routes<H>,
    ) -> Reception<'r, H> {
        let arrived = Instant::now();
        let shared = &self.0;
        shared.observe(|observer| observer.received(&shared.endpoint));
        match shared.admit(head, body, arrived).await {
            Err(rejection) => {
                shared.observe(|observer| observer.rejected(&shared.endpoint, rejection));
                Reception::Answered(Outcome::Rejected(rejection).response())
            }
            Ok((delivery, place)) => {
                shared.observe(|observer| observer.authenticated(&delivery));
                let wanted = shared.mode.wants(delivery.event.livemode());
                match routes.find(delivery.event.event_type()).filter(|_| wanted) {
                    None => {
                        shared.observe(|observer| observer.ignored(&delivery));
                        Reception::Answered(Outcome::Ignored.response())
                    }
                    Some(handler) => {
                        let ack_deadline = arrived + shared.ack_deadline;
                        let shared = Arc::clone(shared);
                        Reception::Admitted(Admitted { shared, delivery, ack_deadline, place }, handler)
                    }
                }
            }
        }
    }

    /// Receives one request whose body is at hand, with portable handlers, each in a task of its own on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub async fn handle<S: Send + 'static>(
        &self,
        head: &impl Head,
        body: impl Into<Bytes>,
        routes: &Routes<PortableHandler<S>>,
        state: S,
    ) -> Response {
        match self.receive(head, Whole(Some(body.into())), routes).await {
            Reception::Answered(response) => response,
            Reception::Admitted(admitted, handler) => {
                let handler = handler.clone();
                let (task, response) = admitted.run(move |delivery| handler.call(delivery.event, state));
                tokio::spawn(task);
                response.await
            }
        }
    }
}

impl From<Shared> for Receiver {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("verifier", &self.0.verifier)
            .field("endpoint", &self.0.endpoint)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// Checks 1 to 12 of the contract, in its order.
    async fn admit<E>(
        &self,
        head: &impl Head,
        body: impl Stream<Item = Result<Bytes, E>>,
        arrived: Instant,
    ) -> Result<(Delivery, OwnedSemaphorePermit), Rejection> {
        let fields = HeadFields::read(self.verifier.sender(), head);
        if fields.method != "POST" {
            return Err(Rejection::MethodNotAllowed);
        }
        if !fields.identity_encoded {
            return Err(Rejection::UnsupportedContentEncoding);
        }
        let parsed = self.verifier.parse(fields.signed)?;
        let place = self.place()?;
        let deadline = arrived + self.read_deadline;
        let body = body::read(body, fields.content_length, self.body_limit, deadline).await?;
        let verified = self.verifier.finish(parsed, body, &*self.clock)?;
        let event = event::parse(verified, self.mode != Mode::Any)?;
        self.refuse_old(&event)?;
        Ok((Delivery { endpoint: Arc::clone(&self.endpoint), event }, place))
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        if self.running.intake_stopped() {
            return Err(Rejection::ShuttingDown);
        }
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| Rejection::Overloaded)
    }

    /// Circularo's opt-in age limit, by the body's own timestamp.
    fn refuse_old(&self, event: &AnyEvent) -> Result<(), Rejection> {
        let Some(max_age) = self.max_event_age else { return Ok(()) };
        let happened =
            event.timestamp().and_then(|timestamp| timestamp.unix_millis()).ok_or(Rejection::MalformedPayload)?;
        let now = self.clock.unix_seconds().map_err(|_| Rejection::Clock)?;
        let skew_seconds = happened.div_euclid(1_000).saturating_sub(now);
        if skew_seconds < 0 && skew_seconds.unsigned_abs() > max_age.as_secs() {
            return Err(Rejection::Stale { skew_seconds });
        }
        Ok(())
    }

    fn observe(&self, tell: impl Fn(&dyn Observer)) {
        for observer in &self.observers {
            tell(&**observer);
        }
    }

    /// The claim, then the handler, then what became of it.
    async fn process<F>(
        self: Arc<Self>,
        delivery: Delivery,
        ack_deadline: Instant,
        run: impl FnOnce(Delivery) -> F,
    ) -> Outcome
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        // Entered before the claim: shutdown waits until whatever is claimed is settled.
        let Some(mut visit) = self.running.enter() else { return self.reject(Rejection::ShuttingDown) };
        let key = Key::new(&self.endpoint, delivery.event.id());
        let fingerprint = Fingerprint::from_bytes(Sha256::digest(delivery.body()).into());
        let claim = match self.claim(&delivery, &key, fingerprint, ack_deadline).await {
            Ok(claim) => claim,
            Err(outcome) => return outcome,
        };
        if !visit.run(&key, fingerprint) {
            self.release(&delivery, claim).await;
            return self.reject(Rejection::ShuttingDown);
        }
        let started = Instant::now();
        let end = self.run(&delivery, claim.as_ref(), run).await;
        let outcome = self.settle(&delivery, claim, end, started).await;
        visit.end(outcome);
        outcome
    }

    /// Wins the claim, or tells what to answer. `None` is the right to run without one, where the user chose so.
    async fn claim(
        &self,
        delivery: &Delivery,
        key: &Key,
        fingerprint: Fingerprint,
        ack_deadline: Instant,
    ) -> Result<Option<Claim>, Outcome> {
        let nonce = nonce();
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
            let waited = timeout_at(ack_deadline, async {
                match self.running.wait_for(key, fingerprint).await {
                    Ending::Outcome(outcome, same_body) => Some((outcome, same_body)),
                    Ending::Vanished => None,
                    Ending::Elsewhere => {
                        // A lease that is about to lapse may yet be renewed: no store is asked again at once.
                        let lapses = if retry_after < FIRST_POLL { pause } else { retry_after };
                        sleep(pause.min(lapses)).await;
                        pause = (pause * 2).min(LAST_POLL);
                        None
                    }
                }
            });
            match waited.await {
                Err(_) => return Err(Outcome::Unfinished),
                Ok(None) => {}
                Ok(Some((Outcome::Handled | Outcome::DeadLettered, same_body))) => {
                    return Err(self.duplicate(delivery, same_body));
                }
                Ok(Some((outcome, _))) => return Err(outcome),
            }
        }
    }

    /// Runs the handler to its end, or to the end of the drain; renews the lease meanwhile.
    async fn run<F>(&self, delivery: &Delivery, claim: Option<&Claim>, run: impl FnOnce(Delivery) -> F) -> End
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        tokio::select! {
            biased;
            end = self.attempt(delivery, run) => end,
            () = self.keep(delivery, claim) => End::Drained,
            () = self.running.drain_ended() => End::Drained,
        }
    }

    /// Runs the handler; buries what it says can never be handled.
    async fn attempt<F>(&self, delivery: &Delivery, run: impl FnOnce(Delivery) -> F) -> End
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let delivered = delivery.clone();
        let returned = catch_panic(async move { run(delivered).await }).await;
        let Err(error) = returned.unwrap_or_else(|panic| Err(HandlerError::retryable(format!("the handler {panic}"))))
        else {
            return End::Succeeded;
        };
        let Some(sink) = self.dead_letters.as_ref().filter(|_| error.is_permanent()) else {
            return End::Failed(error);
        };
        let buried = catch_panic(sink.bury(DeadLetter { delivery, error: &error })).await;
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
    async fn settle(&self, delivery: &Delivery, claim: Option<Claim>, end: End, started: Instant) -> Outcome {
        match end {
            End::Succeeded => {
                self.complete(delivery, claim).await;
                self.observe(|observer| observer.handled(delivery, started.elapsed()));
                Outcome::Handled
            }
            End::Buried(error) => {
                self.complete(delivery, claim).await;
                self.observe(|observer| observer.dead_lettered(delivery, &error));
                Outcome::DeadLettered
            }
            End::Failed(error) => {
                self.release(delivery, claim).await;
                self.observe(|observer| observer.failed(delivery, &error, started.elapsed()));
                Outcome::Failed
            }
            End::Drained => {
                self.release(delivery, claim).await;
                self.reject(Rejection::ShuttingDown)
            }
        }
    }

    async fn complete(&self, delivery: &Delivery, claim: Option<Claim>) {
        if let Some(claim) = claim {
            let told = claim.is_lost();
            self.observe_end(delivery, StoreOperation::Complete, told, claim.complete().await);
        }
    }

    async fn release(&self, delivery: &Delivery, claim: Option<Claim>) {
        if let Some(claim) = claim {
            let told = claim.is_lost();
            self.observe_end(delivery, StoreOperation::Release, told, claim.release().await);
        }
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

impl Admitted {
    /// The event, before it is claimed.
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// Two futures: the task, to be spawned, which claims the event, runs the handler and settles the claim; and the answer, to be awaited, which
    /// comes by the ack deadline at the latest. The task is `Send` if `run` and its future are.
    pub fn run<F>(self, run: impl FnOnce(Delivery) -> F) -> (impl Future<Output = ()>, impl Future<Output = Response>)
    where
        F: Future<Output = Result<(), HandlerError>>,
    {
        let Self { shared, delivery, ack_deadline, place } = self;
        let (sender, ended) = oneshot::channel();
        let answer = Answer { shared: Arc::clone(&shared), delivery: delivery.clone(), ended, ack_deadline, place };
        let task = async move {
            let outcome = shared.process(delivery, ack_deadline, run).await;
            // Nobody listens any more where the sender has hung up or the ack deadline has passed.
            let _ = sender.send(outcome);
        };
        (task, answer.wait())
    }
}

impl fmt::Debug for Admitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admitted").field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

/// The answer that a request waits for.
struct Answer {
    shared: Arc<Shared>,
    delivery: Delivery,
    ended: oneshot::Receiver<Outcome>,
    ack_deadline: Instant,
    place: OwnedSemaphorePermit,
}

impl Answer {
    async fn wait(mut self) -> Response {
        let outcome = tokio::select! {
            biased;
            // A task that is gone without a word was stopped with its runtime.
            ended = &mut self.ended => ended.unwrap_or(Outcome::Failed),
            () = sleep_until(self.ack_deadline) => Outcome::Unfinished,
        };
        if outcome == Outcome::Unfinished {
            self.shared.observe(|observer| observer.unfinished(&self.delivery));
        }
        drop(self.place);
        outcome.response()
    }
}

/// A body that is at hand, as a stream of one chunk.
struct Whole(Option<Bytes>);

impl Stream for Whole {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}

/// The future's output, or what its panic said.
async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut future = pin!(future);
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    caught.await.map_err(|panic| {
        let message = panic.downcast_ref::<&str>().copied();
        let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        format!("panicked: {}", message.unwrap_or("no message"))
    })
}

/// A number that no other delivery has: a random half per process, a counted half per delivery.
fn nonce() -> Nonce {
    use std::{
        collections::hash_map::RandomState,
        hash::{BuildHasher, Hasher},
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };
    static PROCESS: OnceLock<u64> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let process = *PROCESS.get_or_init(|| RandomState::new().build_hasher().finish());
    Nonce(u128::from(process) << 64 | u128::from(COUNT.fetch_add(1, Ordering::Relaxed)))
}
