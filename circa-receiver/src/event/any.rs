//! An authentic event whose data is left as JSON, its typed form, and what both need.

use std::{
    any::Any,
    fmt,
    ops::{Deref, Range},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;

use crate::sender::Sender;
use crate::verify::SecretId;

use super::circa::DatapointPulled;
use super::kind::EventKind;
use super::scalar::{self, Actor, Timestamp};

/// An authentic event with its data left as JSON. Cheap to clone.
///
/// `Debug` shows sender, id and type, nothing of the body.
#[derive(Clone)]
pub struct AnyEvent(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) sender: Sender,
    pub(super) secret: Option<SecretId>,
    pub(super) signed_at: Option<i64>,
    pub(super) webhook_id: Option<Label>,
    pub(super) body: ByteString,
    pub(super) id: Text,
    pub(super) event_type: Text,
    pub(super) fields: Fields,
    /// Decoded on the way, for whoever asks for it first.
    pub(super) pulled: Mutex<Option<DatapointPulled>>,
}

/// What the envelope holds beside id and type. Ranges are into the body.
pub(super) enum Fields {
    Circa { created: Option<i64>, livemode: Option<bool>, team_id: Option<Text>, data: Option<Range<usize>> },
    Circularo { document_id: Text, actor: Option<Range<usize>>, timestamp: Option<Range<usize>> },
}

/// A string of the envelope: where it stands in the body, or its unescaped copy where it holds an escape.
pub(super) enum Text {
    InBody(Range<usize>),
    Unescaped(Box<str>),
}

impl AnyEvent {
    /// The sender of this event.
    pub fn sender(&self) -> Sender {
        self.0.sender
    }

    /// The event's id, the key for idempotency. Opaque: Circa's own (`evt_...`), 1 to 255 visible ASCII characters; for Circularo, which sends
    /// none, the SHA-256 of the body in hex.
    pub fn id(&self) -> &str {
        self.text(&self.0.id)
    }

    /// The event's type, as in the body: `"datapoint.pulled"`, `"documentCompleted"`, or one not known yet.
    pub fn event_type(&self) -> &str {
        self.text(&self.0.event_type)
    }

    /// The event's type as an open enum, to match on.
    pub fn kind(&self) -> EventKind<'_> {
        EventKind::of(self.sender(), self.event_type())
    }

    /// The whole body, byte for byte as received and signed.
    pub fn body(&self) -> &Bytes {
        self.0.body.as_bytes()
    }

    /// Circa's `data`, byte for byte as it stands in the body; `None` where it is absent, and for Circularo, which has none.
    pub fn raw_data(&self) -> Option<&[u8]> {
        match &self.0.fields {
            Fields::Circa { data, .. } => data.clone().map(|range| self.0.body[range].as_bytes()),
            Fields::Circularo { .. } => None,
        }
    }

    /// When the event happened, in unix seconds (Circa's `created`). Not for judging freshness: a retried event keeps it.
    pub fn created(&self) -> Option<i64> {
        match &self.0.fields {
            Fields::Circa { created, .. } => *created,
            Fields::Circularo { .. } => None,
        }
    }

    /// [`AnyEvent::created`] as a point in time; also `None` where the platform cannot express it.
    pub fn created_at(&self) -> Option<SystemTime> {
        at_unix_millis(self.created()?.checked_mul(1_000)?)
    }

    /// Circa's `livemode`: false for events caused by `circa_test_` keys and for `webhook.test`.
    pub fn livemode(&self) -> Option<bool> {
        match &self.0.fields {
            Fields::Circa { livemode, .. } => *livemode,
            Fields::Circularo { .. } => None,
        }
    }

    /// Circa's `teamId`. Opaque.
    pub fn team_id(&self) -> Option<&str> {
        match &self.0.fields {
            Fields::Circa { team_id, .. } => team_id.as_ref().map(|text| self.text(text)),
            Fields::Circularo { .. } => None,
        }
    }

    /// Circularo's `documentId`. Opaque, not empty.
    pub fn document_id(&self) -> Option<&str> {
        match &self.0.fields {
            Fields::Circularo { document_id, .. } => Some(self.text(document_id)),
            Fields::Circa { .. } => None,
        }
    }

    /// Circularo's `actor`: who did it; `None` where absent or null, or not Unicode (a lone surrogate).
    pub fn actor(&self) -> Option<Actor> {
        match &self.0.fields {
            Fields::Circularo { actor, .. } => self.scalar(actor).map(Actor::new),
            Fields::Circa { .. } => None,
        }
    }

    /// Circularo's `timestamp`: when it happened; `None` where absent or null, or not Unicode (a lone surrogate).
    pub fn timestamp(&self) -> Option<Timestamp> {
        match &self.0.fields {
            Fields::Circularo { timestamp, .. } => self.scalar(timestamp).map(Timestamp::new),
            Fields::Circa { .. } => None,
        }
    }

    /// Which secret matched; `None` on a receiver that was built unsigned.
    pub fn secret(&self) -> Option<&SecretId> {
        self.0.secret.as_ref()
    }

    /// When the delivery was signed, in unix seconds; `None` for Circularo, which signs no time.
    pub fn signed_at(&self) -> Option<i64> {
        self.0.signed_at
    }

    /// The unsigned `Circa-Webhook-Id` header, escaped and cut to 64 characters: a label for logs, never to be trusted.
    pub fn webhook_id(&self) -> Option<&str> {
        self.0.webhook_id.as_ref().map(Label::as_str)
    }

    /// The JSON that [`AnyEvent::decode`] reads: Circa's `data`, Circularo's whole body.
    fn payload(&self) -> Option<&str> {
        match &self.0.fields {
            Fields::Circa { data, .. } => data.clone().map(|range| &self.0.body[range]),
            Fields::Circularo { .. } => Some(&self.0.body),
        }
    }

    /// Decodes the data: Circa's `data`, Circularo's whole body. The event's type is not compared with `T`'s.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where there is no `data`, or it is not as `T` wants it. It tells the place, not the content.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let payload = self.payload().ok_or(DecodeError(Fault::NoData))?;
        serde_json::from_str(payload)
            .map_err(|error| DecodeError(Fault::At { line: error.line(), column: error.column() }))
    }

    /// The data that was decoded with the envelope, if it is a `T` and was not taken yet.
    fn take_decoded<T: 'static>(&self) -> Option<T> {
        let mut pulled = self.0.pulled.lock().unwrap_or_else(PoisonError::into_inner);
        let pulled: &mut dyn Any = &mut *pulled;
        pulled.downcast_mut::<Option<T>>()?.take()
    }

    fn text<'a>(&'a self, text: &'a Text) -> &'a str {
        match text {
            Text::InBody(range) => &self.0.body[range.clone()],
            Text::Unescaped(text) => text,
        }
    }

    fn scalar(&self, range: &Option<Range<usize>>) -> Option<scalar::Scalar> {
        serde_json::from_str(&self.0.body[range.clone()?]).ok()
    }
}

impl fmt::Debug for AnyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyEvent")
            .field("sender", &self.sender().name())
            .field("id", &self.id())
            .field("type", &self.event_type())
            .finish_non_exhaustive()
    }
}

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

    /// Only an event of `T`'s type becomes an `Event<T>`; [`AnyEvent::decode`] reads any event as any data.
    fn try_from(event: AnyEvent) -> Result<Self, DecodeError> {
        if event.sender() != T::SENDER || event.event_type() != T::TYPE {
            return Err(DecodeError(Fault::OtherType(T::TYPE)));
        }
        let data = event.take_decoded().map_or_else(|| event.decode(), Ok)?;
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

/// The data of an event is absent, of another type, or not as its type wants it. Holds the place of the fault, nothing of the content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecodeError(Fault);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    NoData,
    OtherType(&'static str),
    At { line: usize, column: usize },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Fault::NoData => f.write_str("the event has no data"),
            Fault::OtherType(wanted) => write!(f, "the event is not a {wanted}"),
            Fault::At { line, column } => {
                write!(f, "the event's data is not as its type wants it, at line {line}, column {column} of the data")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// An unsigned header made harmless for logs: control and non-ASCII bytes escaped, cut to 64 characters, all of them ASCII.
pub(super) struct Label {
    text: [u8; Self::MAX],
    length: usize,
}

impl Label {
    const MAX: usize = 64;

    pub(super) fn new(value: &[u8]) -> Self {
        let mut text = [0; Self::MAX];
        // Most are identifiers, for which escaping would take a fiftieth of a delivery's time.
        if value.len() <= Self::MAX && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte)) {
            text[..value.len()].copy_from_slice(value);
            return Self { text, length: value.len() };
        }
        let mut length = 0;
        let escaped = String::from_utf8_lossy(value);
        for (place, character) in text.iter_mut().zip(escaped.chars().flat_map(char::escape_default)) {
            *place = u8::try_from(character).expect("escaped characters are ASCII");
            length += 1;
        }
        Self { text, length }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..self.length]).expect("ASCII is UTF-8")
    }
}

/// Whether all bytes are valid; without a branch per byte, so that the compiler does many at once.
pub(super) fn all(text: &str, valid: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & valid(byte))
}

pub(super) fn at_unix_millis(millis: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { SystemTime::UNIX_EPOCH.checked_sub(distance) } else { SystemTime::UNIX_EPOCH.checked_add(distance) }
}
