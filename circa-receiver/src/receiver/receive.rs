//! The request's part of the pipeline, once for both senders and all frameworks: checks 1 to 13, in
//! the contract's order.
//!
//! What is admitted goes on in a task of its own: see `task.rs`.

use std::{
    fmt,
    future::ready,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::Instant;

use super::admit::Refused;
use super::shared::Shared;
use super::stay::Arrival;
use super::task::Admitted;
use crate::answer::{Outcome, PayloadFault, Response};
use crate::dedup::{Key, StoreError};
use crate::event::Delivery;
use crate::handler::{HandlerError, PortableHandler, RouteError, Routes};
use crate::inbox::Calls;
use crate::observe::ConfigWarning;
use crate::sender::Sender;
use crate::verify::{Head, Secret, Secrets};

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
/// receiver.check_routes(&routes)?;
/// let response = receiver.handle(&("POST", &headers[..]), &body[..], &routes, ()).await;
/// assert_eq!(response.status(), 200);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Receiver(pub(super) Arc<Shared>);

/// What [`Receiver::receive`] made of a request. Exhaustive on purpose: an adapter has to decide
/// what it does with each.
#[derive(Debug)]
#[must_use]
pub enum Reception<'r, H> {
    /// The answer is known; no handler runs.
    Answered(Response),
    /// The event is authentic and wanted: spawn [`Admitted::run`] with this handler.
    Admitted(Admitted, &'r H),
}

impl Receiver {
    /// The sender whose deliveries are received.
    pub fn sender(&self) -> Sender {
        self.0.verifier.sender()
    }

    /// The endpoint's name: [`ReceiverBuilder::endpoint`](crate::ReceiverBuilder::endpoint).
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// Whether it serves several tenants, and so asks for
    /// [`Head::tenant`](crate::adapter::Head::tenant).
    pub fn has_tenants(&self) -> bool {
        self.0.tenants.is_some()
    }

    /// Settings that are allowed but unwise.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.0.warnings
    }

    /// Replaces all secrets at once, also while requests are in flight: each is compared with one
    /// whole set, the old or the new.
    ///
    /// Observers get the warnings about them, as at build.
    ///
    /// It reaches this process, not other replicas. Without effect on a receiver made by
    /// [`Receiver::dangerous_circularo_unsigned`], which stays unsigned, and on one of several
    /// tenants, whose source is asked.
    pub fn replace_secrets(&self, secrets: impl Into<Secrets>) {
        if self.0.verifier.has_secrets() {
            let secrets = secrets.into();
            self.0.tell_new_secrets(&secrets);
            self.0.verifier.replace_secrets(secrets);
        }
    }

    /// Puts a new secret in the first place; the one that stood there stays valid beside it until
    /// the next rotation, and need not be known again. [`Receiver::replace_secrets`] with the new
    /// one alone ends the former, as a leaked one must.
    ///
    /// Observers get the warnings about it, as at build.
    ///
    /// It reaches this process, not other replicas. Without effect on a receiver made by
    /// [`Receiver::dangerous_circularo_unsigned`], and on one of several tenants.
    pub fn rotate_to(&self, secret: Secret) {
        if let Some(secrets) = self.0.verifier.rotated_to(secret) {
            self.0.tell_new_secrets(&secrets);
        }
    }

    /// Forgets an event that was handled, so that it is handled again when it is sent again.
    /// `false` if it was not remembered.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the dedup store or the inbox failed.
    pub async fn forget(&self, event_id: &str) -> Result<bool, StoreError> {
        self.forget_key(Key::new(&self.0.endpoint, event_id)).await
    }

    /// [`Receiver::forget`] of a tenant's event.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    pub async fn forget_of_tenant(&self, tenant: &str, event_id: &str) -> Result<bool, StoreError> {
        let endpoint = format!("{}/{tenant}", self.0.endpoint);
        self.forget_key(Key::new(&endpoint, event_id)).await
    }

    async fn forget_key(&self, key: Key) -> Result<bool, StoreError> {
        match &self.0.inbox {
            Some(inbox) => inbox.forget(&key).await,
            None => self.0.claims.forget(&key).await,
        }
    }

    /// Whether the dedup store or the inbox can be reached and used, within the store timeout
    /// (default 2 s): for a health check.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it cannot.
    pub async fn check_store(&self) -> Result<(), StoreError> {
        match &self.0.inbox {
            Some(inbox) => inbox.check().await,
            None => self.0.claims.check().await,
        }
    }

    pub(crate) fn stop_intake(&self) {
        self.0.running.stop_intake();
    }

    /// Stops the intake (503) and the worker, lets running handlers end until the drain deadline
    /// (default 20 s), then stops the rest and releases their claims. Ends at most 3 s after the
    /// drain deadline, whatever handlers and store do.
    pub async fn shutdown(&self) {
        self.0.running.drain(Instant::now() + self.0.drain_deadline).await;
    }

    /// How many panics of observers were caught.
    pub fn observer_panics(&self) -> u64 {
        self.0.observers.panics()
    }

    /// Checks whether the routes make sense for this receiver, and tells its observers which event
    /// types have a handler. Call it once, before the first delivery; the adapters do.
    ///
    /// # Errors
    ///
    /// As [`Routes::check`].
    pub fn check_routes<H>(&self, routes: &Routes<H>) -> Result<(), RouteError> {
        routes.check(self.sender())?;
        let types: Vec<&str> = routes.types().collect();
        self.0.observe(|observer| observer.routed(&self.0.endpoint, &types));
        Ok(())
    }

    /// Checks one request, up to whether its event is wanted. Nothing is claimed yet, so the future
    /// may be dropped at any time.
    ///
    /// Where the answer [closes the connection](Response::closes_connection), what is left of the
    /// body is to be drained, so that the answer reaches the sender: keep the stream, and hand over
    /// a pinned reference to it. Check the routes once, before the first delivery, with
    /// [`Receiver::check_routes`]; the adapters do.
    pub async fn receive<'r, E, H>(
        &self,
        head: &impl Head,
        body: impl Stream<Item = Result<Bytes, E>>,
        routes: &'r Routes<H>,
    ) -> Reception<'r, H> {
        let arrival = self.0.arrival();
        let span = arrival.span.clone();
        span.around(self.receive_at(arrival, head, body, routes)).await
    }

    /// As [`Receiver::receive`], inside the delivery's span.
    async fn receive_at<'r, E, H>(
        &self,
        arrival: Arrival,
        head: &impl Head,
        body: impl Stream<Item = Result<Bytes, E>>,
        routes: &'r Routes<H>,
    ) -> Reception<'r, H> {
        let shared = &self.0;
        shared.observe(|observer| observer.received(&shared.endpoint));
        let (delivery, place) = match shared.admit(head, pin!(body), arrival.at).await {
            Ok(admitted) => admitted,
            Err(Refused { tenant, rejection }) => {
                let endpoint = tenant.as_ref().map_or(&shared.endpoint, |tenant| &tenant.endpoint);
                return Reception::Answered(shared.answer(&arrival, shared.reject(endpoint, rejection)));
            }
        };
        arrival.span.authenticated(&delivery, || shared.clock.unix_seconds().ok());
        let next = self.next(&delivery, routes);
        let admitted = Admitted { shared: Arc::clone(shared), delivery, arrival, place };
        match next {
            Next::Answer(outcome) => Reception::Answered(shared.answer(&admitted.arrival, outcome)),
            Next::Store(inbox) => Reception::Answered(admitted.accept(inbox, head).await),
            Next::Bury(fault) => Reception::Answered(bury(admitted, fault).await),
            Next::Run(handler) => Reception::Admitted(admitted, handler),
        }
    }

    /// Tells the observers about an authentic delivery, and decides what becomes of it.
    fn next<'s, 'r, H>(&'s self, delivery: &Delivery, routes: &'r Routes<H>) -> Next<'s, 'r, H> {
        let shared = &self.0;
        let event = delivery.event();
        if let Some(fault) = event.fault() {
            shared.observe(|observer| observer.unreadable(delivery, fault));
            return shared.inbox.as_ref().map_or(Next::Bury(fault), Next::Store);
        }
        shared.observe(|observer| observer.authenticated(delivery));
        for field in event.drifted_fields().filter(|field| shared.notices.is_drift_new(field)) {
            shared.observe(|observer| observer.field_drifted(delivery, field));
        }
        let wanted = shared.mode.wants(event.livemode());
        let handler = routes.find(event.event_type());
        if let Some(handler) = handler.filter(|_| wanted) {
            return shared.inbox.as_ref().map_or(Next::Run(handler), Next::Store);
        }
        shared.observe(|observer| observer.ignored(delivery));
        if handler.is_none() && shared.notices.is_unhandled_due(event.event_type()) {
            shared.observe(|observer| observer.unhandled(delivery));
        }
        Next::Answer(Outcome::Ignored)
    }

    /// Receives one request whose body is at hand, with portable handlers, each in a task of its
    /// own on the current tokio runtime.
    ///
    /// Check the routes once, before the first delivery, with [`Receiver::check_routes`].
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
                let (task, answer) = admitted.run(move |delivery| handler.call(delivery, state));
                answer.wait_for(tokio::spawn(task)).await
            }
        }
    }
}

/// What becomes of an authentic delivery.
enum Next<'s, 'r, H> {
    Answer(Outcome),
    Store(&'s Calls),
    /// It cannot be read: the dead-letter sink gets it.
    Bury(PayloadFault),
    Run(&'r H),
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("verifier", &self.0.verifier)
            .field("endpoint", &self.0.endpoint)
            .finish_non_exhaustive()
    }
}

/// Hands an event that cannot be read to the dead-letter sink, in a task of its own, as a handler
/// would that fails for good.
async fn bury(admitted: Admitted, fault: PayloadFault) -> Response {
    let (task, answer) = admitted.run(move |_| ready(Err(HandlerError::permanent(fault))));
    answer.wait_for(tokio::spawn(task)).await
}

/// A body that is at hand, as a stream of one chunk.
struct Whole(Option<Bytes>);

impl Stream for Whole {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Ok))
    }
}
