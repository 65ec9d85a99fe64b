//! Why the data of an event is not as its type wants it.

use std::fmt;

/// The data of an event is absent, of another type, or not as its type wants it. Holds the place of
/// the fault, nothing of the content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DecodeError(pub(super) Fault);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
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
