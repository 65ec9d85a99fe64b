//! What handlers take of their delivery, and why one gets nothing. The adapters turn that into
//! their framework's answer.

use super::error::HandlerError;
use crate::completion::Completion;
use crate::event::{AnyEvent, DecodeError, Delivery, Event, EventData};

/// What a handler takes as an argument: the [`Delivery`], or a part of it.
///
/// Implemented for [`Delivery`], [`AnyEvent`], [`Event<T>`](Event) and [`Completion`].
pub trait FromDelivery: Sized + Send {
    /// Takes it from the delivery.
    ///
    /// # Errors
    ///
    /// [`ExtractError`] where it is not there, or is not of this type.
    fn from_delivery(delivery: &Delivery) -> Result<Self, ExtractError>;
}

impl FromDelivery for Delivery {
    fn from_delivery(delivery: &Delivery) -> Result<Self, ExtractError> {
        Ok(delivery.clone())
    }
}

impl FromDelivery for AnyEvent {
    fn from_delivery(delivery: &Delivery) -> Result<Self, ExtractError> {
        Ok(delivery.event().clone())
    }
}

impl<T: EventData> FromDelivery for Event<T> {
    fn from_delivery(delivery: &Delivery) -> Result<Self, ExtractError> {
        Ok(delivery.event().clone().try_into()?)
    }
}

impl FromDelivery for Completion {
    fn from_delivery(delivery: &Delivery) -> Result<Self, ExtractError> {
        delivery.completion().cloned().ok_or(ExtractError::WithoutInbox)
    }
}

/// Why an extractor found nothing: it stands outside a receiver or where no inbox is, or the data
/// is not of its type.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ExtractError {
    /// The extractor was used on a route that no receiver stands in front of.
    #[error(
        "an event was extracted outside a receiver: register the handler with `webhook(receiver).on(handler)`, or put a `ReceiverLayer` in front of the route"
    )]
    OutsideReceiver,
    /// A [`Completion`] was to be extracted where no inbox runs the handler.
    #[error(
        "a `Completion` was extracted where no inbox runs the handler: give the receiver an inbox and run its worker, or take none"
    )]
    WithoutInbox,
    /// The event's data is not as the extractor's type wants it.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl ExtractError {
    /// The status that says so: 500 outside a receiver and without an inbox, 422 for data, which
    /// makes the failure permanent.
    pub fn status(self) -> u16 {
        match self {
            Self::OutsideReceiver | Self::WithoutInbox => 500,
            Self::Decode(_) => 422,
        }
    }

    /// The failure of a handler whose extractor found nothing: permanent for data, since a retry
    /// finds the same data.
    pub fn failure(self) -> HandlerError {
        match self {
            Self::OutsideReceiver | Self::WithoutInbox => HandlerError::retryable(self),
            Self::Decode(error) => HandlerError::permanent(error),
        }
    }
}

/// What an extractor does with the delivery that the receiver left in the request, if it did.
///
/// # Errors
///
/// [`ExtractError::OutsideReceiver`] for `None`, and those of [`FromDelivery::from_delivery`].
pub fn extract<T: FromDelivery>(delivery: Option<&Delivery>) -> Result<T, ExtractError> {
    T::from_delivery(delivery.ok_or(ExtractError::OutsideReceiver)?)
}
