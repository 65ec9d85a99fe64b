//! The signature headers: parsed in place, nothing allocated.
//!
//! What is malformed is refused before one byte of the body is polled.

mod circa;
mod circularo;
mod mac;

pub(crate) use mac::{Mac, MacKey};

use crate::{Rejection, head::Field, sender::Scheme};

/// A well-formed signature header: the signed time, if the scheme has one, and the MACs that were offered.
pub(crate) struct Signature<'h> {
    pub(crate) signed_at: Option<SignedAt<'h>>,
    pub(crate) candidates: Candidates<'h>,
}

/// The signed time: its bytes as received, over which the MAC is taken, and its value in unix seconds.
#[derive(Clone, Copy)]
pub(crate) struct SignedAt<'h> {
    pub(crate) text: &'h [u8],
    pub(crate) seconds: i64,
}

/// The MACs that a header offers, at least one of them well-formed.
///
/// Only the first is decoded beforehand: nearly all headers have no other, and a delivery's state stays small to move.
pub(crate) struct Candidates<'h> {
    first: Mac,
    /// What stands in the header behind the first.
    rest: &'h [u8],
}

impl Candidates<'_> {
    /// Whether any candidate equals `expected`; each comparison takes constant time.
    #[inline(always)]
    pub(crate) fn contain(&self, expected: &Mac) -> bool {
        self.first.matches(expected) || circa::macs(self.rest).any(|candidate| candidate.matches(expected))
    }
}

impl<'h> Signature<'h> {
    /// Checks that there is exactly one signature header and that it is well-formed.
    #[inline(always)]
    pub(crate) fn parse(scheme: Scheme, header: Field<'h>) -> Result<Self, Rejection> {
        let value = match header {
            Field::Absent => return Err(Rejection::MissingSignature),
            Field::Repeated => return Err(Rejection::MalformedSignature),
            Field::One(value) => trim(value),
        };
        if value.is_empty() {
            return Err(Rejection::MissingSignature);
        }
        match scheme {
            Scheme::TimestampAndBody => circa::parse(value),
            Scheme::Body => circularo::parse(value),
        }
    }
}

/// Without the spaces and tabs around it. Servers trim a field value on HTTP/1.1 and may not on HTTP/2: both end here.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
