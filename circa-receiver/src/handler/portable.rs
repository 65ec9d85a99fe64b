//! Handlers that know no web framework.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::error::HandlerError;
use super::extract::{ExtractError, FromDelivery};
use super::routes::Routes;
use crate::event::{Delivery, Event, EventData};

/// A handler that knows no web framework: `async fn(event, state) -> Result<(), HandlerError>`.
///
/// `event` is an [`Event<T>`](Event), whose `T` tells the event type, or an
/// [`AnyEvent`](crate::AnyEvent). One argument more may stand between event and state: whatever is
/// [taken from the delivery](FromDelivery). Implemented for functions and closures; `E` is what
/// they take.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler for events",
    note = "a handler is `async fn(event: Event<T>, state: S) -> Result<(), HandlerError>`, or takes an `AnyEvent`",
    note = "a `Delivery` or a `Completion` may stand between them"
)]
pub trait Handler<E, S>: Clone + Send + Sync + 'static {
    /// Handles the event of one delivery.
    fn call(self, delivery: Delivery, state: S) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<F, Fut, S, A> Handler<A, S> for F
where
    F: Fn(A, S) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
    S: Send,
    A: FromDelivery,
{
    async fn call(self, delivery: Delivery, state: S) -> Result<(), HandlerError> {
        self(taken(&delivery)?, state).await
    }
}

impl<F, Fut, S, A, B> Handler<(A, B), S> for F
where
    F: Fn(A, B, S) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
    S: Send,
    A: FromDelivery,
    B: FromDelivery,
{
    async fn call(self, delivery: Delivery, state: S) -> Result<(), HandlerError> {
        self(taken(&delivery)?, taken(&delivery)?, state).await
    }
}

fn taken<T: FromDelivery>(delivery: &Delivery) -> Result<T, HandlerError> {
    T::from_delivery(delivery).map_err(ExtractError::failure)
}

/// What a handler takes, the first of which is an [`Event<T>`](Event), whose `T` tells the event
/// type.
#[diagnostic::on_unimplemented(
    message = "the handler has no argument `Event<T>` in front, so it does not tell its event type",
    note = "begin with an argument `Event<T>`, or register the handler with `.on_type(\"name\", handler)` or `.fallback(handler)`"
)]
pub trait BeginsWithEvent {
    /// The data of the event.
    type Data: EventData;
}

impl<T: EventData> BeginsWithEvent for Event<T> {
    type Data = T;
}

impl<T: EventData, A> BeginsWithEvent for (Event<T>, A) {
    type Data = T;
}

type Running = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A [`Handler`] of any event, in a [`Routes`] table.
pub struct PortableHandler<S>(Arc<dyn Fn(Delivery, S) -> Running + Send + Sync>);

impl<S> PortableHandler<S> {
    fn new<E, H: Handler<E, S>>(handler: H) -> Self
    where
        S: Send + 'static,
        E: 'static,
    {
        Self(Arc::new(move |delivery, state| Box::pin(call(handler.clone(), delivery, state))))
    }

    /// Handles the event of one delivery.
    pub fn call(&self, delivery: Delivery, state: S) -> impl Future<Output = Result<(), HandlerError>> + Send + use<S> {
        (self.0)(delivery, state)
    }
}

async fn call<E, S, H: Handler<E, S>>(handler: H, delivery: Delivery, state: S) -> Result<(), HandlerError> {
    handler.call(delivery, state).await
}

impl<S> Clone for PortableHandler<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for PortableHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortableHandler").finish_non_exhaustive()
    }
}

impl<S: Send + 'static> Routes<PortableHandler<S>> {
    /// Runs the handler for the events of its argument's type.
    #[must_use]
    pub fn on<E: BeginsWithEvent + 'static>(self, handler: impl Handler<E, S>) -> Self {
        self.insert::<E::Data>(PortableHandler::new(handler))
    }

    /// Runs the handler for the events of a type by its name, as it stands in the body.
    #[must_use]
    pub fn on_type<E: 'static>(self, event_type: &str, handler: impl Handler<E, S>) -> Self {
        self.insert_type(event_type, PortableHandler::new(handler))
    }

    /// Runs the handler for the events of all other types.
    #[must_use]
    pub fn fallback<E: 'static>(self, handler: impl Handler<E, S>) -> Self {
        self.insert_fallback(PortableHandler::new(handler))
    }
}
