//! Handlers that know no web framework.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::error::HandlerError;
use super::routes::Routes;
use crate::event::{AnyEvent, Event, EventData};

/// A handler that knows no web framework: `async fn(event, state) -> Result<(), HandlerError>`.
///
/// `event` is an [`Event<T>`](Event), whose `T` tells the event type, or an [`AnyEvent`].
/// Implemented for functions and closures.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler for events",
    note = "a handler is `async fn(event: Event<T>, state: S) -> Result<(), HandlerError>`, or takes an `AnyEvent`"
)]
pub trait Handler<E, S>: Clone + Send + Sync + 'static {
    /// Handles one event.
    fn call(self, event: AnyEvent, state: S) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

impl<F, Fut, S> Handler<AnyEvent, S> for F
where
    F: Fn(AnyEvent, S) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
    S: Send,
{
    fn call(self, event: AnyEvent, state: S) -> impl Future<Output = Result<(), HandlerError>> + Send {
        self(event, state)
    }
}

impl<F, Fut, S, T> Handler<Event<T>, S> for F
where
    F: Fn(Event<T>, S) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send,
    S: Send,
    T: EventData,
{
    async fn call(self, event: AnyEvent, state: S) -> Result<(), HandlerError> {
        // A known type whose data does not decode will not decode the next time either.
        let event = Event::try_from(event).map_err(HandlerError::permanent)?;
        self(event, state).await
    }
}

type Running = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A [`Handler`] of any event, in a [`Routes`] table.
pub struct PortableHandler<S>(Arc<dyn Fn(AnyEvent, S) -> Running + Send + Sync>);

impl<S> PortableHandler<S> {
    fn new<E, H: Handler<E, S>>(handler: H) -> Self
    where
        S: Send + 'static,
        E: 'static,
    {
        Self(Arc::new(move |event, state| Box::pin(call(handler.clone(), event, state))))
    }

    /// Handles one event.
    pub fn call(&self, event: AnyEvent, state: S) -> impl Future<Output = Result<(), HandlerError>> + Send + use<S> {
        (self.0)(event, state)
    }
}

async fn call<E, S, H: Handler<E, S>>(handler: H, event: AnyEvent, state: S) -> Result<(), HandlerError> {
    handler.call(event, state).await
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
    pub fn on<T: EventData>(self, handler: impl Handler<Event<T>, S>) -> Self {
        self.insert::<T>(PortableHandler::new(handler))
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
