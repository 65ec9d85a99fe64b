//! An authentic event whose data is left as JSON.

use std::{fmt, sync::Arc, time::SystemTime};

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::DeserializeOwned;

use super::decode_error::{DecodeError, Fault};
use super::kind::EventKind;
use super::object::Object;
use super::scalar::{Actor, Timestamp, at_unix_millis};
use crate::answer::PayloadFault;
use crate::sender::{Envelope, Sender};
use crate::verify::SecretId;

/// An authentic event with its data left as JSON. Cheap to clone.
///
/// `Debug` shows sender, id and type, nothing of the body.
#[derive(Clone)]
pub struct AnyEvent(Arc<Inner>);

pub(super) struct Inner {
    pub(super) sender: Sender,
    pub(super) secret: Option<SecretId>,
    pub(super) signed_at: Option<i64>,
    pub(super) webhook_id: Option<Box<str>>,
    pub(super) body: Bytes,
    pub(super) fields: Fields,
}

/// What the body says. The fields of one sender are `None` for the other.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) id: ByteString,
    pub(super) event_type: ByteString,
    /// What [`AnyEvent::decode`] reads: Circa's `data`, Circularo's whole body.
    pub(super) payload: Option<ByteString>,
    pub(super) created: Option<i64>,
    pub(super) livemode: Option<bool>,
    pub(super) team_id: Option<ByteString>,
    pub(super) document_id: Option<ByteString>,
    /// As JSON.
    pub(super) actor: Option<ByteString>,
    /// As JSON.
    pub(super) timestamp: Option<ByteString>,
    /// Why the envelope could not be understood; it then has no other field.
    pub(super) fault: Option<PayloadFault>,
}

impl AnyEvent {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// The sender of this event.
    pub fn sender(&self) -> Sender {
        self.0.sender
    }

    /// The event's id, the key for idempotency. Opaque: Circa's own (`evt_...`), 1 to 255 visible
    /// ASCII characters; for Circularo, which sends none, the SHA-256 of the body in hex. In
    /// consequence two genuine events with the same bytes (two edits in one second, or without a
    /// timestamp) are one event; see
    /// [`ReceiverBuilder::retention`](crate::ReceiverBuilder::retention).
    pub fn id(&self) -> &str {
        &self.0.fields.id
    }

    /// The event's type, as in the body: `"datapoint.pulled"`, `"documentCompleted"`, or one not
    /// known yet.
    pub fn event_type(&self) -> &str {
        &self.0.fields.event_type
    }

    /// The event's type as an open enum, to match on.
    pub fn kind(&self) -> EventKind<'_> {
        EventKind::of(self.sender(), self.event_type())
    }

    /// The whole body, byte for byte as received and signed.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// Circa's `data`, byte for byte as it stands in the body; `None` where it is absent, and for
    /// Circularo, which has none.
    pub fn raw_data(&self) -> Option<&[u8]> {
        self.0.fields.payload.as_deref().filter(|_| self.has_circas_envelope()).map(str::as_bytes)
    }

    /// When the event happened, in unix seconds (Circa's `created`). Not for judging freshness: a
    /// retried event keeps it.
    pub fn created(&self) -> Option<i64> {
        self.0.fields.created
    }

    /// [`AnyEvent::created`] as a point in time; also `None` where the platform cannot express it.
    pub fn created_at(&self) -> Option<SystemTime> {
        at_unix_millis(self.created()?.checked_mul(1_000)?)
    }

    /// Circa's `livemode`: false for events caused by `circa_test_` keys and for `webhook.test`.
    pub fn livemode(&self) -> Option<bool> {
        self.0.fields.livemode
    }

    /// Circa's `teamId`. Opaque.
    pub fn team_id(&self) -> Option<&str> {
        self.0.fields.team_id.as_deref()
    }

    /// Circularo's `documentId`. Opaque, not empty.
    pub fn document_id(&self) -> Option<&str> {
        self.0.fields.document_id.as_deref()
    }

    /// Circularo's `actor`: who did it; `None` where it is absent, or neither a string nor a
    /// number.
    pub fn actor(&self) -> Option<Actor> {
        Actor::read(self.raw_actor()?)
    }

    /// Circularo's `actor` as JSON, as it came; `None` where it is absent.
    pub fn raw_actor(&self) -> Option<&str> {
        self.0.fields.actor.as_deref()
    }

    /// Circularo's `timestamp`: when it happened; `None` where it is absent, or neither a string
    /// nor a number.
    pub fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::read(self.raw_timestamp()?)
    }

    /// Circularo's `timestamp` as JSON, as it came; `None` where it is absent.
    pub fn raw_timestamp(&self) -> Option<&str> {
        self.0.fields.timestamp.as_deref()
    }

    /// Why the envelope could not be understood. Only a dead letter and the observers see such an
    /// event: its id and type are made up of the hash of its body, and it has the exact body and
    /// nothing else.
    pub fn fault(&self) -> Option<PayloadFault> {
        self.0.fields.fault
    }

    /// Documented fields that are missing, or not as documented, and so absent to their accessors:
    /// of Circa's `created`, `livemode` and `teamId`. They cost no event: nothing is identified or
    /// routed by them.
    pub fn drifted_fields(&self) -> impl Iterator<Item = &'static str> + use<> {
        let is_documented = self.has_circas_envelope() && self.fault().is_none();
        let fields = [
            ("created", self.created().is_some()),
            ("livemode", self.livemode().is_some()),
            ("teamId", self.team_id().is_some()),
        ];
        fields.into_iter().filter(move |(_, is_there)| is_documented && !is_there).map(|(name, _)| name)
    }

    fn has_circas_envelope(&self) -> bool {
        match self.sender().spec().envelope {
            Envelope::Circa => true,
            Envelope::Circularo => false,
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

    /// The unsigned `Circa-Webhook-Id` header, escaped and cut to 64 characters: a label for logs,
    /// never to be trusted.
    pub fn webhook_id(&self) -> Option<&str> {
        self.0.webhook_id.as_deref()
    }

    /// Decodes the data: Circa's `data`, Circularo's whole body. The event's type is not compared
    /// with `T`'s. A key at the top level that is not Unicode (a lone surrogate) is an unknown
    /// field.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where there is no `data`, or it is not as `T` wants it. It tells the place,
    /// not the content.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        let payload = self.0.fields.payload.as_deref().ok_or(DecodeError(Fault::NoData))?;
        serde_json::from_str(payload)
            // Most keys are Unicode: only what fails is looked at a second time.
            .or_else(|error| {
                let object = serde_json::from_str(payload).ok().filter(Object::has_foreign_keys);
                object.and_then(|object| object.decode().ok()).ok_or(error)
            })
            .map_err(|error| DecodeError(Fault::At { line: error.line(), column: error.column() }))
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
