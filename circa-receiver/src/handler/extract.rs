//! Why an extractor found no event. The adapters turn it into their framework's answer.

use crate::event::{AnyEvent, DecodeError, Delivery, Event, EventData};

/// Why an extractor found no event: it stands outside a receiver, or the data is not of its type.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExtractError {
    /// The extractor was used on a route that no receiver stands in front of.
    #[error(
        "an event was extracted outside a receiver: register the handler with `webhook(receiver).on(handler)`, or put a `ReceiverLayer` in front of the route"
    )]
    OutsideReceiver,
    /// The event's data is not as the extractor's type wants it.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl ExtractError {
    /// The status that says so: 500 outside a receiver, 422 for data, which makes the failure
    /// permanent.
    pub fn status(self) -> u16 {
        match self {
            Self::OutsideReceiver => 500,
            Self::Decode(_) => 422,
        }
    }
}

/// What an extractor does with the delivery that the receiver left in the request, if it did.
///
/// # Errors
///
/// [`ExtractError::OutsideReceiver`] for `None`.
pub fn extract_delivery(delivery: Option<&Delivery>) -> Result<Delivery, ExtractError> {
    delivery.cloned().ok_or(ExtractError::OutsideReceiver)
}

/// The event, in the way of an extractor.
///
/// # Errors
///
/// [`ExtractError::OutsideReceiver`] for `None`.
pub fn extract_any(delivery: Option<&Delivery>) -> Result<AnyEvent, ExtractError> {
    Ok(delivery.ok_or(ExtractError::OutsideReceiver)?.event().clone())
}

/// The typed event, in the way of an extractor.
///
/// # Errors
///
/// [`ExtractError::OutsideReceiver`] for `None`, [`ExtractError::Decode`] for data that is not a
/// `T`.
pub fn extract_event<T: EventData>(delivery: Option<&Delivery>) -> Result<Event<T>, ExtractError> {
    Ok(extract_any(delivery)?.try_into()?)
}
