//! Why a handler failed.

use std::fmt;

use crate::error::BoxError;

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
