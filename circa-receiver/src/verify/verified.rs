//! An authentic delivery: just verified, or read back from where this crate stored it.

use std::fmt;

use bytes::Bytes;

#[cfg(feature = "receiver")]
use super::head::Field;
use super::head::UnsignedFields;
use super::secrets::SecretId;
use crate::sender::Sender;

/// An authentic delivery. Only verification makes it, and an inbox from what was verified before;
/// only it makes an [`AnyEvent`](crate::AnyEvent).
#[must_use]
pub struct Verified<'h, B> {
    pub(crate) sender: Sender,
    pub(crate) body: B,
    pub(crate) secret: Option<SecretId>,
    pub(crate) signed_at: Option<i64>,
    pub(crate) unsigned: UnsignedFields<'h>,
}

impl<'h, B> Verified<'h, B> {
    /// The same delivery, its body as [`Bytes`].
    pub(crate) fn into_bytes(self) -> Verified<'h, Bytes>
    where
        B: Into<Bytes>,
    {
        let Self { sender, body, secret, signed_at, unsigned } = self;
        Verified { sender, body: body.into(), secret, signed_at, unsigned }
    }

    /// The body, byte for byte as received.
    pub fn body(&self) -> &B {
        &self.body
    }

    /// Which secret matched; `None` for a verifier made by
    /// [`Verifier::dangerous_circularo_unsigned`](crate::Verifier::dangerous_circularo_unsigned).
    pub fn secret(&self) -> Option<&SecretId> {
        self.secret.as_ref()
    }

    /// When the delivery was signed, in unix seconds; `None` for Circularo, which signs no time.
    pub fn signed_at(&self) -> Option<i64> {
        self.signed_at
    }
}

#[cfg(feature = "receiver")]
impl<'h> Verified<'h, Bytes> {
    /// What was verified of a delivery, read back from where this crate stored it: whoever can
    /// write to the inbox's database can make events, and nobody else. Its unsigned id and type
    /// were compared with the body before it was stored.
    pub(crate) fn stored(
        sender: Sender,
        secret: Option<SecretId>,
        signed_at: Option<i64>,
        webhook_id: Option<&'h str>,
        body: Bytes,
    ) -> Self {
        let webhook_id = webhook_id.map_or(Field::Absent, |id| Field::One(id.as_bytes()));
        let unsigned = UnsignedFields { webhook_id, ..UnsignedFields::default() };
        Self { sender, body, secret, signed_at, unsigned }
    }
}

impl<B> fmt::Debug for Verified<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("sender", &self.sender)
            .field("secret", &self.secret)
            .field("signed_at", &self.signed_at)
            .finish_non_exhaustive()
    }
}
