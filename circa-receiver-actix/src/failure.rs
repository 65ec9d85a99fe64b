//! A handler's error that says whether the event may be sent again.

use std::{fmt, time::Duration};

use actix_web::{HttpResponse, ResponseError, body::BoxBody, http::StatusCode};
use circa_receiver::{BoxError, HandlerError, adapter::error_status};

use crate::extract::ExtractRejection;

/// Why a handler failed, and whether the event may be sent again. `Result<_, Failure>` is a
/// handler's return type; any error converts into a retryable one, so `?` does.
///
/// Observers and dead letters get the error; the sender never does. It also decides behind a
/// [`ReceiverLayer`](crate::ReceiverLayer): a permanent one goes to the dead-letter sink.
///
/// ```
/// # use circa_receiver_actix::{Event, Failure, event::DatapointPulled};
/// # use actix_web::HttpResponse;
/// # async fn record(_event_id: &str, _team: &str) -> Result<(), std::io::Error> { Ok(()) }
/// async fn pulled(Event(event): Event<DatapointPulled>) -> Result<HttpResponse, Failure> {
///     let team = event.team_id().ok_or_else(|| Failure::permanent("the event names no team"))?;
///     record(event.id(), team).await?;
///     Ok(HttpResponse::NoContent().finish())
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

    /// The failure that an error was made from, by a handler or by an extractor of ours.
    pub(crate) fn of(error: &actix_web::Error) -> Option<HandlerError> {
        let handlers = error.as_error().map(|Self(error)| error.clone());
        handlers.or_else(|| error.as_error().map(|ExtractRejection(error)| error.failure()))
    }
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::retryable(error)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(error_status(&self.0)).expect("the core's statuses are HTTP's")
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        HttpResponse::new(self.status_code())
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
