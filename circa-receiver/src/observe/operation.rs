//! The operations of a store.

use std::fmt;

/// An operation of the dedup store or the inbox.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreOperation {
    /// Asking for the claim.
    Claim,
    /// Prolonging its lease.
    Renew,
    /// Marking it done.
    Complete,
    /// Giving it up.
    Release,
    /// Storing an event in the inbox.
    Accept,
    /// Asking the inbox for events to run.
    Lease,
    /// Ending a run in the inbox.
    Settle,
}

impl StoreOperation {
    /// All operations.
    pub const ALL: [Self; 7] =
        [Self::Claim, Self::Renew, Self::Complete, Self::Release, Self::Accept, Self::Lease, Self::Settle];

    /// The operation as one word, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Complete => "complete",
            Self::Release => "release",
            Self::Accept => "accept",
            Self::Lease => "lease",
            Self::Settle => "settle",
        }
    }
}

impl fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
