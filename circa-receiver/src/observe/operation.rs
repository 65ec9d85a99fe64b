//! The operations of a store.

use std::fmt;

/// An operation of the dedup store.
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
}

impl StoreOperation {
    /// All operations.
    pub const ALL: [Self; 4] = [Self::Claim, Self::Renew, Self::Complete, Self::Release];

    /// The operation as one word, for metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Complete => "complete",
            Self::Release => "release",
        }
    }
}

impl fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
