//! Extractors for what the receiver verified. They work in handlers of a
//! [`webhook`](crate::webhook) and behind a [`ReceiverLayer`](crate::ReceiverLayer).

use std::{fmt, ops::Deref};

use axum::{
    Extension,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use circa_receiver::{
    Delivery, EventData,
    adapter::{ExtractError, extract},
};

use crate::failure::Failure;

/// The event with typed data. In a handler given to [`Webhook::on`](crate::Webhook::on), its `T`
/// tells the event type.
///
/// Where events of all types come through, as behind a [`ReceiverLayer`](crate::ReceiverLayer) or
/// in a fallback, it refuses those of another type: take [`AnyEvent`] there.
#[derive(Clone, Debug)]
pub struct Event<T>(pub circa_receiver::Event<T>);

/// The event with its data left as JSON.
#[derive(Clone, Debug)]
pub struct AnyEvent(pub circa_receiver::AnyEvent);

/// The delivery: the exact body, and the endpoint at which it arrived.
#[derive(Clone, Debug)]
pub struct RawDelivery(pub Delivery);

/// With what a handler completes its run in a transaction of its own: only where an inbox runs it.
/// An example is in `docs/inbox.md`.
#[derive(Clone, Debug)]
pub struct Completion(pub circa_receiver::Completion);

/// Why an extractor found no event. Outside a receiver the answer names the fix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtractRejection(pub ExtractError);

impl<T: EventData, S: Sync> FromRequestParts<S> for Event<T> {
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractRejection> {
        extract(parts.extensions.get()).map(Self).map_err(ExtractRejection)
    }
}

impl<S: Sync> FromRequestParts<S> for AnyEvent {
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractRejection> {
        extract(parts.extensions.get()).map(Self).map_err(ExtractRejection)
    }
}

impl<S: Sync> FromRequestParts<S> for RawDelivery {
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractRejection> {
        extract(parts.extensions.get()).map(Self).map_err(ExtractRejection)
    }
}

impl<S: Sync> FromRequestParts<S> for Completion {
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractRejection> {
        extract(parts.extensions.get()).map(Self).map_err(ExtractRejection)
    }
}

impl IntoResponse for ExtractRejection {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).expect("the core's statuses are HTTP's");
        (status, Extension(Failure(self.0.failure())), self.0.to_string()).into_response()
    }
}

impl fmt::Display for ExtractRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for ExtractRejection {}

impl<T> Deref for Event<T> {
    type Target = circa_receiver::Event<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for AnyEvent {
    type Target = circa_receiver::AnyEvent;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for RawDelivery {
    type Target = Delivery;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Deref for Completion {
    type Target = circa_receiver::Completion;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
