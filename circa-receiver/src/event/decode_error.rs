//! Why the data of an event is not as its type wants it.

/// The data of an event is absent, of another type, or not as its type wants it. Holds the place of
/// the fault, nothing of the content.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(transparent)]
pub struct DecodeError(pub(super) Fault);

#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the event has no data")]
    NoData,
    #[error("the event is not a {0}")]
    OtherType(&'static str),
    #[error("the event's data is not as its type wants it, at line {line}, column {column} of the data")]
    At { line: usize, column: usize },
}
