//! What the tests of the receiver share: signed requests, bodies as streams, an observer that keeps notes, a clock that goes with
//! tokio's, a store that fails on demand.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use circa_receiver::{
    AnyEvent, BoxError, Builder, ConfigWarning, DedupStore, Delivery, HandlerError, MemoryStore, Observer,
    PortableHandler, Receiver, Reception, Rejection, Response, Routes, Secret, StoreOperation,
    dedup::{ClaimAnswer, ClaimRequest, Key, StoreError, Token},
    testing::{CircaSigner, CircularoSigner, TokioClock},
};
use futures_core::Stream;
use tokio::{sync::Semaphore, task::JoinHandle};

pub(crate) const SECRET: &str = "whsec_test_0123456789abcdef";
pub(crate) const OTHER_SECRET: &str = "whsec_other_0123456789abcdef";
pub(crate) const NOW: i64 = 1_747_000_800;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The body of a Circa event with this id.
pub(crate) fn circa_body(id: &str) -> String {
    format!(r#"{{"id":"{id}","type":"webhook.test","created":{NOW},"livemode":false,"data":{{"message":"hello"}}}}"#)
}

/// The body of a Circularo event of this document.
pub(crate) fn circularo_body(document: &str) -> String {
    format!(r#"{{"documentId":"{document}","event":"documentSigned","actor":"mary","timestamp":{NOW}}}"#)
}

/// A request: its head, and a body that is sent whole unless a [`Body`] is given with it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Bytes,
}

impl Request {
    /// A good delivery of a Circa event, signed at [`NOW`].
    pub(crate) fn circa(id: &str) -> Self {
        Self::signed(circa_body(id))
    }

    /// Any body, signed as Circa does at [`NOW`].
    pub(crate) fn signed(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let signature = CircaSigner::new(SECRET).sign(NOW, &body);
        Self { method: "POST", headers: Vec::new(), body }.header("Circa-Signature", signature)
    }

    /// Any body, signed as Circularo does.
    pub(crate) fn circularo(body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let signature = CircularoSigner::new(SECRET).sign(&body);
        Self { method: "POST", headers: Vec::new(), body }.header("x-circularo-signature", signature)
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn replace(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).header(name, value)
    }

    /// Signed as Circa does, but with these secrets and at this time.
    pub(crate) fn resigned(self, signer: &CircaSigner, at: i64) -> Self {
        let signature = signer.sign(at, &self.body);
        self.replace("Circa-Signature", signature)
    }
}

/// What a [`Body`] does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Chunk(Bytes),
    Pause(Duration),
    /// Pending once, and woken at once.
    Yield,
    /// The connection is lost.
    Fail,
    /// Nothing comes any more, and the connection stays.
    Stall,
    /// Empty chunks for ever, always ready.
    EmptyForEver,
}

/// A body that follows a script and counts how often it is polled.
pub(crate) struct Body {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
    polls: Arc<AtomicUsize>,
}

impl Body {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), pause: None, polls: Arc::default() }
    }

    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        Self::new([Step::Chunk(body.into())])
    }

    pub(crate) fn polls(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.polls)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, &'static str>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Chunk(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                Some(Step::Pause(pause)) => self.pause = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Step::Yield) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Fail) => return Poll::Ready(Some(Err("connection reset by 203.0.113.7"))),
                Some(Step::Stall) => {
                    self.steps.push_front(Step::Stall);
                    return Poll::Pending;
                }
                Some(Step::EmptyForEver) => {
                    let polls = self.polls.load(Ordering::SeqCst);
                    assert!(polls < 10_000_000, "polled again and again: only this ends a test that would hang");
                    self.steps.push_front(Step::EmptyForEver);
                    return Poll::Ready(Some(Ok(Bytes::new())));
                }
            }
        }
    }
}

/// A receiver with its routes, and what its observer was told.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) receiver: Receiver,
    pub(crate) routes: Arc<Routes<PortableHandler<()>>>,
    pub(crate) notes: Notes,
}

impl Endpoint {
    pub(crate) fn new(builder: Builder, routes: Routes<PortableHandler<()>>) -> Self {
        let notes = Notes::default();
        let receiver = builder.observer(notes.clone()).build().unwrap();
        Self { receiver, routes: Arc::new(routes), notes }
    }

    pub(crate) async fn deliver(&self, request: &Request) -> Response {
        self.deliver_with(request, Body::whole(request.body.clone())).await
    }

    /// As an adapter does it: receive, spawn the task, await the answer.
    pub(crate) async fn deliver_with(&self, request: &Request, body: Body) -> Response {
        let head = (request.method, &request.headers[..]);
        match self.receiver.receive(&head, body, &self.routes).await {
            Reception::Answered(response) => response,
            Reception::Admitted(admitted, handler) => {
                let handler = handler.clone();
                let (task, answer) = admitted.run(move |delivery| handler.call(delivery.event().clone(), ()));
                answer.wait_for(tokio::spawn(task)).await
            }
        }
    }

    /// Delivers in the background.
    pub(crate) fn spawn(&self, request: &Request) -> JoinHandle<Response> {
        let (endpoint, request) = (self.clone(), request.clone());
        tokio::spawn(async move { endpoint.deliver(&request).await })
    }
}

/// A builder for Circa on a clock that goes with tokio's.
pub(crate) fn circa() -> Builder {
    Receiver::circa(Secret::new(SECRET).unwrap()).clock(TokioClock::starting_at(NOW))
}

/// A builder for Circularo on a clock that goes with tokio's.
pub(crate) fn circularo() -> Builder {
    Receiver::circularo(Secret::new(SECRET).unwrap()).clock(TokioClock::starting_at(NOW))
}

/// One handler for all events.
pub(crate) fn routes<F, Fut>(handler: F) -> Routes<PortableHandler<()>>
where
    F: Fn(AnyEvent) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    Routes::new().fallback(move |event: AnyEvent, (): ()| handler(event))
}

/// Status and body of an answer; of a 2xx, the body is the outcome's name.
pub(crate) fn answer(response: &Response) -> (u16, &'static str) {
    (response.status(), response.body())
}

/// The value of a header of an answer.
pub(crate) fn header(response: &Response, name: &str) -> Option<&'static str> {
    response.headers().find(|(other, _)| *other == name).map(|(_, value)| value)
}

pub(crate) const HANDLED: (u16, &str) = (200, "handled");
pub(crate) const DUPLICATE: (u16, &str) = (200, "duplicate");
pub(crate) const IGNORED: (u16, &str) = (200, "ignored");
pub(crate) const DEAD_LETTERED: (u16, &str) = (200, "dead-lettered");
pub(crate) const FAILED: (u16, &str) = (500, "internal server error");
pub(crate) const UNAVAILABLE: (u16, &str) = (503, "service unavailable");
pub(crate) const UNAUTHORIZED: (u16, &str) = (401, "unauthorized");

/// A handler that counts its runs and stands still until it is let go.
#[derive(Clone)]
pub(crate) struct Gate {
    started: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    arrivals: Arc<Semaphore>,
    passes: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        let semaphore = || Arc::new(Semaphore::new(0));
        Self { started: Arc::default(), ended: Arc::default(), arrivals: semaphore(), passes: semaphore() }
    }

    pub(crate) fn open() -> Self {
        let gate = Self::closed();
        gate.let_go(Semaphore::MAX_PERMITS / 2);
        gate
    }

    /// Lets so many runs pass, those that wait and those to come.
    pub(crate) fn let_go(&self, runs: usize) {
        self.passes.add_permits(runs);
    }

    /// What a handler does: arrive, wait, pass.
    pub(crate) async fn pass(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.arrivals.add_permits(1);
        self.passes.acquire().await.unwrap().forget();
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until one more run has arrived.
    pub(crate) async fn arrival(&self) {
        self.arrivals.acquire().await.unwrap().forget();
    }

    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// Routes whose only handler passes this gate and succeeds.
    pub(crate) fn routes(&self) -> Routes<PortableHandler<()>> {
        let gate = self.clone();
        routes(move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(())
            }
        })
    }
}

/// What an observer was told, a line each, in order.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    pub(crate) fn count(&self, line: &str) -> usize {
        self.0.lock().unwrap().iter().filter(|other| other.starts_with(line)).count()
    }

    /// The reason of the only refusal; what the observer is told of a stale delivery with its skew.
    pub(crate) fn reason(&self) -> Option<String> {
        self.all().iter().find_map(|line| line.strip_prefix("rejected ").map(str::to_owned))
    }

    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer for Notes {
    fn received(&self, endpoint: &str) {
        self.note(format!("received {endpoint}"));
    }

    fn rejected(&self, _: &str, rejection: Rejection) {
        let skew =
            if let Rejection::Stale { skew_seconds } = rejection { format!(" {skew_seconds}") } else { String::new() };
        self.note(format!("rejected {}{skew}", rejection.reason()));
    }

    fn authenticated(&self, delivery: &Delivery) {
        let secret = delivery.event().secret().map_or("none".to_owned(), ToString::to_string);
        self.note(format!("authenticated {} by {secret}", delivery.event().id()));
    }

    fn ignored(&self, _: &Delivery) {
        self.note("ignored".to_owned());
    }

    fn duplicate(&self, _: &Delivery, same_body: bool) {
        self.note(format!("duplicate same_body={same_body}"));
    }

    fn handled(&self, _: &Delivery, _: Duration) {
        self.note("handled".to_owned());
    }

    fn failed(&self, _: &Delivery, error: &HandlerError, _: Duration) {
        self.note(format!("failed: {error}"));
    }

    fn dead_lettered(&self, _: &Delivery, error: &HandlerError) {
        self.note(format!("dead-lettered: {error}"));
    }

    fn dead_letter_failed(&self, _: &Delivery, error: &BoxError) {
        self.note(format!("dead letter failed: {error}"));
    }

    fn unfinished(&self, _: &Delivery) {
        self.note("unfinished".to_owned());
    }

    fn store_error(&self, _: &Delivery, operation: StoreOperation, _: &StoreError) {
        self.note(format!("store error at {operation}"));
    }

    fn claim_lost(&self, _: &Delivery) {
        self.note("claim lost".to_owned());
    }

    fn config_warning(&self, endpoint: &str, warning: ConfigWarning) {
        self.note(format!("warning at {endpoint}: {warning:?}"));
    }
}

/// What a [`ScriptedStore`] does instead of answering.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Reports an error; nothing has happened.
    Fail,
    /// Never answers; nothing has happened.
    Hang,
    /// Does it, and reports an error.
    DoneButFails,
    /// Does it, and never answers.
    DoneButHangs,
    /// Pending once before and once after it is done: a step at which its caller can be dropped.
    Yield,
}

/// A store that fails on demand, and counts its calls.
#[derive(Clone)]
pub(crate) struct ScriptedStore {
    inner: Arc<dyn DedupStore>,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    faults: HashMap<&'static str, (Fault, usize)>,
    calls: Vec<&'static str>,
}

impl ScriptedStore {
    pub(crate) fn new(inner: impl DedupStore) -> Self {
        Self { inner: Arc::new(inner), script: Arc::default() }
    }

    /// A scripted [`MemoryStore`] whose time is tokio's.
    pub(crate) fn memory() -> Self {
        Self::new(MemoryStore::default().clock(TokioClock::starting_at(NOW)))
    }

    /// The next so many calls of an operation (`"claim"`, `"renew"`, `"complete"`, `"release"`, `"forget"`) go wrong.
    pub(crate) fn script(&self, operation: &'static str, fault: Fault, times: usize) {
        self.script.lock().unwrap().faults.insert(operation, (fault, times));
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.script.lock().unwrap().calls.iter().filter(|call| **call == operation).count()
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = {
            let mut script = self.script.lock().unwrap();
            script.calls.push(operation);
            script.faults.get_mut(operation).and_then(|(fault, times)| {
                *times = times.checked_sub(1)?;
                Some(*fault)
            })
        };
        let failed = || Err(StoreError::Failed("scripted".into()));
        match fault {
            None => call.await,
            Some(Fault::Fail) => failed(),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::DoneButFails) => {
                call.await?;
                failed()
            }
            Some(Fault::DoneButHangs) => {
                call.await?;
                std::future::pending().await
            }
            Some(Fault::Yield) => {
                tokio::task::yield_now().await;
                let answer = call.await;
                tokio::task::yield_now().await;
                answer
            }
        }
    }
}

#[async_trait]
impl DedupStore for ScriptedStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.call("claim", self.inner.claim(request)).await
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        self.call("renew", self.inner.renew(key, token, lease)).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        self.call("complete", self.inner.complete(key, token, retention)).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.call("release", self.inner.release(key, token)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.call("forget", self.inner.forget(key)).await
    }
}

/// Lets everything that is ready run, without moving the time.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
