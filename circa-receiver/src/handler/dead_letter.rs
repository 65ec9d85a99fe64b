//! Where events go that can never be handled.

use async_trait::async_trait;

use super::error::HandlerError;
use crate::error::BoxError;
use crate::event::{AnyEvent, Delivery};

/// An event that can never be handled, on its way to the [`DeadLetterSink`].
#[derive(Debug)]
pub struct DeadLetter<'a> {
    delivery: &'a Delivery,
    error: &'a HandlerError,
}

impl<'a> DeadLetter<'a> {
    /// An event that failed for good with this error. The receiver makes the letters that sinks
    /// get; in tests you can.
    pub fn new(delivery: &'a Delivery, error: &'a HandlerError) -> Self {
        Self { delivery, error }
    }

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
    /// Where it could not be kept; the event is then answered 500, so that the sender's retries
    /// keep it alive.
    async fn bury(&self, letter: DeadLetter<'_>) -> Result<(), BoxError>;
}
