//! Why a handler failed.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::error::BoxError;

/// Why a handler failed. Any error converts into a retryable one, so `?` does;
/// [`HandlerError::permanent`] says that sending again will not help. Cheap to clone.
#[derive(Clone)]
pub struct HandlerError {
    permanent: bool,
    delay: Option<Duration>,
    error: Arc<dyn Error + Send + Sync>,
}

impl HandlerError {
    /// The event may be handled when it is sent again. Answered 500, the claim released.
    pub fn retryable(error: impl Into<BoxError>) -> Self {
        Self { permanent: false, delay: None, error: Arc::from(error.into()) }
    }

    /// The event can never be handled. It goes to the dead-letter sink and is answered 200; without
    /// a sink it is treated as retryable.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self { permanent: true, ..Self::retryable(error) }
    }

    /// The event is to be handled after `delay`, as where another service asks for it with
    /// `Retry-After`. In an inbox this uses up no attempt, at most 100 times an event. Without an
    /// inbox neither sender's schedule can be changed: it is as [`HandlerError::retryable`], and
    /// the delay only reaches observers, by [`HandlerError::delay`].
    pub fn retry_after(delay: Duration, error: impl Into<BoxError>) -> Self {
        Self { delay: Some(delay), ..Self::retryable(error) }
    }

    /// What went wrong.
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.error
    }

    /// Whether sending the event again will not help.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }

    /// How long the handler asked to wait: [`HandlerError::retry_after`].
    pub fn delay(&self) -> Option<Duration> {
        self.delay
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
        f.debug_struct("HandlerError")
            .field("permanent", &self.permanent)
            .field("delay", &self.delay)
            .field("error", &self.error)
            .finish()
    }
}
