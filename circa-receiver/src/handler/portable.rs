//! Handlers: what they are, how they fail, and where events go that can never be handled.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;

use super::routes::Routes;
pub(crate) use crate::error::BoxError;
use crate::event::Delivery;
use crate::event::{AnyEvent, Event, EventData};

/// Why a handler failed. Any error converts into a retryable one, so `?` does; [`HandlerError::permanent`] says that sending again will not help.
pub struct HandlerError {
    permanent: bool,
    error: BoxError,
}

impl HandlerError {
    /// The event may be handled when it is sent again. Answered 500, the claim released.
    pub fn retryable(error: impl Into<BoxError>) -> Self {
        Self { permanent: false, error: error.into() }
    }

    /// The event can never be handled. It goes to the dead-letter sink and is answered 200; without a sink it is treated as retryable.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self { permanent: true, error: error.into() }
    }

    /// What went wrong.
    pub fn error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.error
    }

    /// Whether sending the event again will not help.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// What the status of an HTTP-flavoured handler means: 2xx is success, 4xx permanent, everything else retryable.
    ///
    /// # Errors
    ///
    /// A [`HandlerError`] that names the status, unless it is 2xx.
    pub fn from_handler_status(status: u16) -> Result<(), Self> {
        match status {
            200..=299 => Ok(()),
            400..=499 => Err(Self::permanent(format!("the handler answered {status}"))),
            _ => Err(Self::retryable(format!("the handler answered {status}"))),
        }
    }

    /// What the status of a service behind the receiver as middleware means: 2xx completes the claim, anything else releases it.
    ///
    /// # Errors
    ///
    /// A retryable [`HandlerError`] that names the status, unless it is 2xx.
    pub fn from_service_status(status: u16) -> Result<(), Self> {
        match status {
            200..=299 => Ok(()),
            _ => Err(Self::retryable(format!("the service answered {status}"))),
        }
    }
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self::retryable(error)
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError").field("permanent", &self.permanent).field("error", &self.error).finish()
    }
}

/// An event that can never be handled, on its way to the [`DeadLetterSink`].
#[derive(Debug)]
pub struct DeadLetter<'a> {
    pub(crate) delivery: &'a Delivery,
    pub(crate) error: &'a HandlerError,
}

impl DeadLetter<'_> {
    /// The event, with its exact body.
    pub fn event(&self) -> &AnyEvent {
        self.delivery.event()
    }

    /// The name of the endpoint at which it arrived.
    pub fn endpoint(&self) -> &str {
        self.delivery.endpoint()
    }

    /// Why it can never be handled.
    pub fn error(&self) -> &HandlerError {
        self.error
    }
}

/// Keeps events that can never be handled: a table, a queue, a file.
#[async_trait]
pub trait DeadLetterSink: Send + Sync + 'static {
    /// Keeps one event durably. Only then is it answered 200.
    ///
    /// # Errors
    ///
    /// Where it could not be kept; the event is then answered 500, so that the sender's retries keep it alive.
    async fn bury(&self, letter: DeadLetter<'_>) -> Result<(), BoxError>;
}

/// A handler that knows no web framework: `async fn(event, state) -> Result<(), HandlerError>`.
///
/// `event` is an [`Event<T>`](Event), whose `T` tells the event type, or an [`AnyEvent`]. Implemented for functions and closures.
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
