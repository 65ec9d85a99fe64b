//! What a well-formed signature header says.

use crate::verify::sign::Mac;

/// A well-formed signature header: the signed time, if the scheme has one, and the MACs that were
/// offered.
#[derive(Default)]
pub(crate) struct Signature<'h> {
    pub(crate) signed_at: Option<SignedAt<'h>>,
    pub(crate) candidates: Candidates,
}

/// The signed time: its bytes as received, over which the MAC is taken, and its value in unix
/// seconds.
#[derive(Clone, Copy)]
pub(crate) struct SignedAt<'h> {
    pub(crate) text: &'h [u8],
    pub(crate) seconds: i64,
}

/// The well-formed MACs that a header offers, at most [`Candidates::MAX`].
#[derive(Default)]
pub(crate) struct Candidates {
    macs: [Mac; Self::MAX],
    count: usize,
}

impl Candidates {
    /// Bounds the comparisons; the hashing is one HMAC per secret in any case (contract, section
    /// 2).
    pub(crate) const MAX: usize = 8;

    /// Adds one; whoever calls has counted that there is room.
    pub(super) fn push(&mut self, mac: Mac) {
        self.macs[self.count] = mac;
        self.count += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether any candidate equals `expected`; each comparison takes constant time.
    pub(crate) fn contain(&self, expected: &Mac) -> bool {
        self.macs[..self.count].iter().any(|candidate| candidate.matches(expected))
    }
}

/// Without the spaces and tabs around it. Servers trim a field value on HTTP/1.1 and may not on
/// HTTP/2: both end here.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
