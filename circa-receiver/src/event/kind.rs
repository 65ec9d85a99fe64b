//! The types of events, as an open enum: what is not known yet is data, not an error.

use std::fmt;

use crate::sender::{Envelope, Sender};

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $sender:ident $name:literal,)*) => {
        /// The type of an event. Open: what is not known yet is [`EventKind::Other`].
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum EventKind<'a> {
            $($(#[$doc])* $kind,)*
            /// A type that this version does not know.
            Other(&'a str),
        }

        impl<'a> EventKind<'a> {
            pub(super) fn of(sender: Sender, event_type: &'a str) -> Self {
                match (sender.spec().envelope, event_type) {
                    $((Envelope::$sender, $name) => Self::$kind,)*
                    (_, other) => Self::Other(other),
                }
            }

            /// The sender that is known to send events of this type.
            #[cfg(feature = "receiver")]
            pub(crate) fn sender_of(event_type: &str) -> Option<Sender> {
                let knows = |sender: &Sender| sender.event_types().any(|known| known == event_type);
                [Sender::CIRCA, Sender::CIRCULARO].into_iter().find(knows)
            }

            /// The type's name, as it stands in the body.
            pub fn as_str(self) -> &'a str {
                match self {
                    $(Self::$kind => $name,)*
                    Self::Other(other) => other,
                }
            }
        }

        impl Sender {
            /// The documented types of this sender's events, as they stand in the body: for a table
            /// of handlers that takes them all (Circa documentation, Webhooks; Circularo
            /// documentation, Webhooks).
            pub fn event_types(self) -> impl Iterator<Item = &'static str> {
                let all = [$((Envelope::$sender, $name)),*];
                all.into_iter().filter(move |(sender, _)| *sender == self.spec().envelope).map(|(_, name)| name)
            }
        }
    };
}

impl fmt::Display for EventKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

event_kinds! {
    /// Circa: one successful API call that pulled data.
    DatapointPulled = Circa "datapoint.pulled",
    /// Circa: the portal's "Send test" button.
    WebhookTest = Circa "webhook.test",
    /// Circularo: a document was created.
    DocumentCreated = Circularo "documentCreated",
    /// Circularo: a document was edited.
    DocumentEdited = Circularo "documentEdited",
    /// Circularo: a document was deleted.
    DocumentDeleted = Circularo "documentDeleted",
    /// Circularo: a signature was requested.
    SignRequest = Circularo "signRequest",
    /// Circularo: a signature was delegated.
    SignDelegated = Circularo "signDelegated",
    /// Circularo: a signature was refused.
    SignRejected = Circularo "signRejected",
    /// Circularo: a signature request expired.
    SignExpired = Circularo "signExpired",
    /// Circularo: a signature request was cancelled.
    SignCancelled = Circularo "signCancelled",
    /// Circularo: one signer has signed.
    DocumentSigned = Circularo "documentSigned",
    /// Circularo: all signatures are collected.
    DocumentCompleted = Circularo "documentCompleted",
    /// Circularo: a document was approved, reviewed or accepted.
    DocumentSimpleActionExecuted = Circularo "documentSimpleActionExecuted",
}
