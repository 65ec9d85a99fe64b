//! Why a handler failed.

use std::{fmt, time::Duration};

use crate::error::BoxError;

/// Why a handler failed. Any error converts into a retryable one, so `?` does; [`HandlerError::permanent`] says that sending again will not help.
pub struct HandlerError {
    permanent: bool,
    after: Option<Duration>,
    error: BoxError,
}

impl HandlerError {
    /// The event may be handled when it is sent again. Answered 500, the claim released.
    pub fn retryable(error: impl Into<BoxError>) -> Self {
        Self { permanent: false, after: None, error: error.into() }
    }

    /// The event can never be handled. It goes to the dead-letter sink and is answered 200; without a sink it is treated as retryable.
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self { permanent: true, after: None, error: error.into() }
    }

    /// The event is to be handled so much later, as when an interface says when it can be called again. In an inbox this uses
    /// up no attempt, at most 100 times an event; without an inbox it is as [`HandlerError::retryable`].
    pub fn retry_after(after: Duration, error: impl Into<BoxError>) -> Self {
        Self { permanent: false, after: Some(after), error: error.into() }
    }

    /// What went wrong.
    pub fn error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        &*self.error
    }

    /// How much later the event is to be handled, if the handler said so.
    pub fn after(&self) -> Option<Duration> {
        self.after
    }

    /// Whether sending the event again will not help.
    pub fn is_permanent(&self) -> bool {
        self.permanent
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
