//! The data of Circularo's eleven events (Circularo documentation, Webhooks). All carry the same
//! fields; the type tells what happened.

use std::{fmt, ops::Deref};

use serde::{Deserialize, Serialize};

use super::scalar::{Actor, Timestamp, lenient};
use super::typed::EventData;
use crate::sender::Sender;

/// What every Circularo event carries. The signed file is not in it; download it through the API.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentEvent {
    document_id: String,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    actor: Option<Actor>,
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    timestamp: Option<Timestamp>,
}

impl DocumentEvent {
    /// The document. Opaque, not empty.
    pub fn document_id(&self) -> &str {
        &self.document_id
    }

    /// Who did it; `None` where absent, null, or neither a string nor a number.
    pub fn actor(&self) -> Option<&Actor> {
        self.actor.as_ref()
    }

    /// When it happened; `None` where absent, null, or neither a string nor a number.
    pub fn timestamp(&self) -> Option<&Timestamp> {
        self.timestamp.as_ref()
    }
}

impl fmt::Debug for DocumentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentEvent")
            .field("document_id", &self.document_id)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

macro_rules! document_events {
    ($($(#[$doc:meta])* $name:ident = $event_type:literal,)*) => {$(
        $(#[$doc])*
        ///
        /// Dereferences to [`DocumentEvent`], which has the fields.
        #[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
        #[serde(transparent)]
        pub struct $name(DocumentEvent);

        impl EventData for $name {
            const SENDER: Sender = Sender::CIRCULARO;
            const TYPE: &'static str = $event_type;
        }

        impl Deref for $name {
            type Target = DocumentEvent;

            fn deref(&self) -> &DocumentEvent {
                &self.0
            }
        }
    )*};
}

document_events! {
    /// A document was created.
    DocumentCreated = "documentCreated",
    /// A document was edited.
    DocumentEdited = "documentEdited",
    /// A document was deleted.
    DocumentDeleted = "documentDeleted",
    /// A signature was requested.
    SignRequest = "signRequest",
    /// A signature was delegated.
    SignDelegated = "signDelegated",
    /// A signature was refused.
    SignRejected = "signRejected",
    /// A signature request expired.
    SignExpired = "signExpired",
    /// A signature request was cancelled.
    SignCancelled = "signCancelled",
    /// One signer has signed; one event per signer.
    DocumentSigned = "documentSigned",
    /// All signatures are collected.
    DocumentCompleted = "documentCompleted",
    /// A document was approved, reviewed or accepted.
    DocumentSimpleActionExecuted = "documentSimpleActionExecuted",
}
