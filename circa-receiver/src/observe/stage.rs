//! The stages at which deliveries stay for a while.

use std::fmt;

/// Where a delivery, or its handler, is at the moment. Each stage is bounded: see the builder.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// Its body did not come with its head, and is waited for
    /// ([`max_readers`](crate::ReceiverBuilder::max_readers)).
    Body,
    /// It is authentic, and in flight ([`max_in_flight`](crate::ReceiverBuilder::max_in_flight)).
    Place,
    /// It waits for another run of its event; a quarter of those in flight at most.
    Duplicate,
    /// Its handler runs, also beyond its answer
    /// ([`max_running`](crate::ReceiverBuilder::max_running)).
    Handler,
}

impl Stage {
    /// All stages, in the order in which a delivery meets them.
    pub const ALL: [Self; 4] = [Self::Body, Self::Place, Self::Duplicate, Self::Handler];

    /// The stage as one word, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Place => "place",
            Self::Duplicate => "duplicate",
            Self::Handler => "handler",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
