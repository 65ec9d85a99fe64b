//! What a well-formed signature header says.

use crate::verify::hex::Digits;
use crate::verify::sign::Mac;

/// Bounds the comparisons; the hashing is one HMAC per secret in any case (contract, section 2).
const MAX_MACS: usize = 8;

/// A well-formed signature header.
#[derive(Default)]
pub(crate) struct Signature<'h> {
    /// The signed time, if the scheme has one.
    pub(crate) signed_at: Option<SignedAt<'h>>,
    /// The MACs that are offered; `None` in place of one that is not well-formed.
    pub(super) macs: [Option<Digits<'h>>; MAX_MACS],
}

impl Signature<'_> {
    /// Whether this MAC is among those that are offered; each comparison takes constant time.
    pub(crate) fn offers(&self, expected: &Mac) -> bool {
        self.macs.iter().flatten().any(|mac| Mac::from(mac.bytes()).matches(expected))
    }
}

/// The signed time: its bytes as received, over which the MAC is taken, and its value in unix
/// seconds.
#[derive(Clone, Copy)]
pub(crate) struct SignedAt<'h> {
    pub(crate) text: &'h [u8],
    pub(crate) seconds: i64,
}

/// Without the spaces and tabs around it. Servers trim a field value on HTTP/1.1 and may not on
/// HTTP/2: both end here.
pub(super) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
