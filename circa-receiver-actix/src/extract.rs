//! Extractors for what the receiver verified. They work in handlers of a
//! [`webhook`](crate::webhook) and behind a [`ReceiverLayer`](crate::ReceiverLayer).

use std::{
    fmt,
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{FromRequest, HttpMessage, HttpRequest, ResponseError, dev::Payload, http::StatusCode};
use circa_receiver::{
    Delivery, EventData,
    adapter::{ExtractError, extract},
};

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

/// Why an extractor found no event. Outside a receiver the answer names the fix.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ExtractRejection(pub ExtractError);

impl<T: EventData> FromRequest for Event<T> {
    type Error = ExtractRejection;
    type Future = Ready<Result<Self, ExtractRejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(extract(request.extensions().get()).map(Self).map_err(ExtractRejection))
    }
}

impl FromRequest for AnyEvent {
    type Error = ExtractRejection;
    type Future = Ready<Result<Self, ExtractRejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(extract(request.extensions().get()).map(Self).map_err(ExtractRejection))
    }
}

impl FromRequest for RawDelivery {
    type Error = ExtractRejection;
    type Future = Ready<Result<Self, ExtractRejection>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(extract(request.extensions().get()).map(Self).map_err(ExtractRejection))
    }
}

impl ResponseError for ExtractRejection {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status()).expect("the core's statuses are HTTP's")
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
