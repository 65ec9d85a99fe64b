//! Events: what an authentic delivery carries.
//!
//! [`AnyEvent`] is the envelope, with the exact bytes of body and `data`; [`Event<T>`](Event) adds
//! the typed data. Unknown event types are data, not errors. Implement [`EventData`] for types of
//! your own: a view of only the fields that you read will do.
//!
//! 1. `envelope`: from a verified body to an [`AnyEvent`]; `object`: the members of a JSON object;
//! 2. `any`: [`AnyEvent`]; `typed`: [`Event<T>`](Event); `decode_error`: why data is not of its
//!    type; `kind`: all known types; `scalar`: values of undocumented form;
//! 3. `circa`, `circularo`: the typed data of each sender's events;
//! 4. `delivery`: an event that arrived at an endpoint.
//!
//! A new event type is a file in `circa/` with its struct and [`EventData`], or a line of
//! `document_events!` in `circularo`; then its re-export here, a line of `event_kinds!` in `kind`, a
//! fixture in `testing/fixtures.rs`, and a section of `docs/catalogue.md`.

mod any;
mod circa;
mod circularo;
mod decode_error;
mod delivery;
mod envelope;
mod kind;
mod object;
mod scalar;
mod typed;

pub use any::AnyEvent;
pub use circa::{
    CharacterizationFactorId, DatapointPulled, Ids, ImpactPull, MaterialPull, ProcessPull, PropertyPull, UnknownPull,
    WebhookTest,
};
pub use circularo::{
    DocumentCompleted, DocumentCreated, DocumentDeleted, DocumentEdited, DocumentEvent, DocumentSigned,
    DocumentSimpleActionExecuted, SignCancelled, SignDelegated, SignExpired, SignRejected, SignRequest,
};
pub use decode_error::DecodeError;
pub use kind::EventKind;
pub use scalar::{Actor, Timestamp};
pub use typed::{Event, EventData};

pub use delivery::Delivery;
#[cfg(feature = "receiver")]
pub(crate) use envelope::{is_event_type, parse, unreadable};
