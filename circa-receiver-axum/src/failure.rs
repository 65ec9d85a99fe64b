//! A handler's error that says whether the event may be sent again.

use std::{fmt, time::Duration};

use axum::{
    Extension,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use circa_receiver::{BoxError, HandlerError, adapter::error_status};

/// Why a handler failed, and whether the event may be sent again. `Result<_, Failure>` is a
/// handler's return type; any error converts into a retryable one, so `?` does.
///
/// Observers and dead letters get the error; the sender never does. It also decides behind a
/// [`ReceiverLayer`](crate::ReceiverLayer): a permanent one goes to the dead-letter sink.
///
/// ```
/// # use circa_receiver_axum::{Event, Failure, event::DatapointPulled};
/// # async fn record(_event_id: &str, _team: &str) -> Result<(), std::io::Error> { Ok(()) }
/// async fn pulled(Event(event): Event<DatapointPulled>) -> Result<(), Failure> {
///     let team = event.team_id().ok_or_else(|| Failure::permanent("the event names no team"))?;
///     record(event.id(), team).await?;
///     Ok(())
/// }
/// ```
///
/// What returns a [`HandlerError`] goes on with `.map_err(Failure)?`.
#[derive(Clone)]
pub struct Failure(pub HandlerError);

impl Failure {
    /// The event may be handled when it is sent again: [`HandlerError::retryable`].
    pub fn retryable(error: impl Into<BoxError>) -> Self {
        Self(HandlerError::retryable(error))
    }

    /// The event can never be handled: [`HandlerError::permanent`].
    pub fn permanent(error: impl Into<BoxError>) -> Self {
        Self(HandlerError::permanent(error))
    }

    /// The event may be handled after `delay`: [`HandlerError::retry_after`].
    pub fn retry_after(delay: Duration, error: impl Into<BoxError>) -> Self {
        Self(HandlerError::retry_after(delay, error))
    }

    /// The failure that a response was made from.
    pub(crate) fn of(response: &Response) -> Option<HandlerError> {
        response.extensions().get().map(|Self(error)| error.clone())
    }
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retryable(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(error_status(&self.0)).expect("the core's statuses are HTTP's");
        (status, Extension(self)).into_response()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
