//! The operations of a store that may fail.

use std::fmt;

/// Which operation of the dedup store or the inbox failed.
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
    /// Ending a run in the inbox.
    Settle,
}

impl fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Complete => "complete",
            Self::Release => "release",
            Self::Accept => "accept",
            Self::Settle => "settle",
        })
    }
}
