//! An authentic delivery that was stored after its verification: beside [`Verified`], the other way
//! to an event.

use bytes::Bytes;

use super::head::{Field, UnsignedFields};
use super::secrets::SecretId;
use super::verified::Verified;
use crate::sender::Sender;

/// What was verified of a delivery, read back from where it was stored. Only this crate makes it,
/// from what it stored itself: whoever can write to the inbox's database can make events, and
/// nobody else.
pub(crate) struct Stored {
    pub(crate) sender: Sender,
    pub(crate) secret: Option<SecretId>,
    pub(crate) signed_at: Option<i64>,
    pub(crate) webhook_id: Option<String>,
    pub(crate) body: Bytes,
}

impl Stored {
    /// The delivery as it was verified. Its unsigned id and type were compared with the body before
    /// it was stored.
    pub(crate) fn verified(&self) -> Verified<'_, Bytes> {
        let webhook_id = self.webhook_id.as_ref().map_or(Field::Absent, |id| Field::One(id.as_bytes()));
        Verified {
            sender: self.sender,
            body: self.body.clone(),
            secret: self.secret.clone(),
            signed_at: self.signed_at,
            unsigned: UnsignedFields { webhook_id, ..UnsignedFields::default() },
        }
    }
}
