//! An event with typed data.

use std::{fmt, ops::Deref};

use serde::de::DeserializeOwned;

use super::any::AnyEvent;
use super::decode_error::{DecodeError, Fault};
use crate::sender::Sender;

/// The JSON type that an event of one type carries.
///
/// Implement it for types of your own; only the fields that you read need to be there.
///
/// ```
/// use circa_receiver::{EventData, Sender};
///
/// #[derive(serde::Deserialize)]
/// struct WhoPulled {
///     #[serde(rename = "userId")]
///     user_id: String,
/// }
///
/// impl EventData for WhoPulled {
///     const SENDER: Sender = Sender::CIRCA;
///     const TYPE: &'static str = "datapoint.pulled";
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the data of an event type",
    note = "use a type of `circa_receiver::event`, or derive `serde::Deserialize` and implement `EventData` for your own"
)]
pub trait EventData: DeserializeOwned + Send + 'static {
    /// The sender of this event type.
    const SENDER: Sender;

    /// The event type, as it stands in the body.
    const TYPE: &'static str;
}

/// An authentic event with typed data. Its envelope is an [`AnyEvent`], to which it dereferences.
#[derive(Clone)]
pub struct Event<T> {
    event: AnyEvent,
    data: T,
}

impl<T: EventData> TryFrom<AnyEvent> for Event<T> {
    type Error = DecodeError;

    /// Only an event of `T`'s type becomes an `Event<T>`; [`AnyEvent::decode`] reads any event as
    /// any data.
    fn try_from(event: AnyEvent) -> Result<Self, DecodeError> {
        if event.sender() != T::SENDER || event.event_type() != T::TYPE {
            return Err(DecodeError(Fault::OtherType(T::TYPE)));
        }
        let data = event.decode()?;
        Ok(Self { data, event })
    }
}

impl<T> Event<T> {
    /// The typed data: of Circa's `data`, or of Circularo's whole body.
    pub fn data(&self) -> &T {
        &self.data
    }

    /// The typed data alone.
    pub fn into_data(self) -> T {
        self.data
    }
}

/// The event, its data as JSON again.
impl<T> From<Event<T>> for AnyEvent {
    fn from(event: Event<T>) -> Self {
        event.event
    }
}

impl<T> Deref for Event<T> {
    type Target = AnyEvent;

    fn deref(&self) -> &AnyEvent {
        &self.event
    }
}

impl<T> fmt::Debug for Event<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.event.fmt(f)
    }
}
