//! The signature headers: parsed once, in place, nothing allocated.
//!
//! What is malformed is refused before one byte of the body is polled.

mod circa;
mod circularo;

use super::head::Field;
use super::sign::Mac;
use crate::answer::Rejection;
use crate::sender::Scheme;

/// A longer header is refused before anything else is done to it (contract, section 2).
const MAX_BYTES: usize = 1_024;

/// A well-formed signature header: the signed time, if the scheme has one, and the MACs that were offered.
pub(crate) struct Signature<'h> {
    pub(crate) signed_at: Option<SignedAt<'h>>,
    pub(crate) candidates: Candidates,
}

/// The signed time: its bytes as received, over which the MAC is taken, and its value in unix seconds.
#[derive(Clone, Copy)]
pub(crate) struct SignedAt<'h> {
    pub(crate) text: &'h [u8],
    pub(crate) seconds: i64,
}

/// The well-formed MACs that a header offers, at most [`Candidates::MAX`].
#[derive(Default)]
pub(crate) struct Candidates {
    macs: [Option<Mac>; Self::MAX],
    count: usize,
}

impl Candidates {
    /// Bounds the comparisons; the hashing is one HMAC per secret in any case (contract, section 2).
    pub(crate) const MAX: usize = 8;

    /// Adds one; whoever calls has counted that there is room.
    fn push(&mut self, mac: Mac) {
        self.macs[self.count] = Some(mac);
        self.count += 1;
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether any candidate equals `expected`; each comparison takes constant time.
    pub(crate) fn contain(&self, expected: &Mac) -> bool {
        self.macs.iter().flatten().any(|candidate| candidate.matches(expected))
    }
}

impl<'h> Signature<'h> {
    /// Checks that there is exactly one signature header and that it is well-formed.
    pub(crate) fn parse(scheme: Scheme, header: Field<'h>) -> Result<Self, Rejection> {
        let value = match header {
            Field::Absent => return Err(Rejection::MissingSignature),
            Field::Repeated => return Err(Rejection::MalformedSignature),
            Field::One(value) if value.len() > MAX_BYTES => return Err(Rejection::MalformedSignature),
            Field::One(value) => trim(value),
        };
        if value.is_empty() {
            return Err(Rejection::MissingSignature);
        }
        let parsed = match scheme {
            Scheme::TimestampAndBody => circa::parse(value),
            Scheme::Body => circularo::parse(value),
        };
        parsed.ok_or(Rejection::MalformedSignature)
    }
}

/// Without the spaces and tabs around it. Servers trim a field value on HTTP/1.1 and may not on HTTP/2: both end here.
fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract, section 2: spaces and tabs around the value are trimmed; a value over the limit is refused untouched.
    #[test]
    fn white_space_around_is_trimmed_within_the_limit() {
        let mac = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        let parse = |value: &str| Signature::parse(Scheme::Body, Field::One(value.as_bytes())).map(drop);
        for length in [0, 1, 2, 3, 64, 100, MAX_BYTES - mac.len()] {
            let blank = " \t".repeat(length).split_off(length);
            assert_eq!(parse(&format!("{blank}{mac}")), Ok(()), "{length} before");
            assert_eq!(parse(&format!("{mac}{blank}")), Ok(()), "{length} behind");
            assert_eq!(parse(&format!("{mac}x{blank}")), Err(Rejection::MalformedSignature), "{length} around");
            assert_eq!(parse(&blank), Err(Rejection::MissingSignature), "{length} alone");
        }
        let beyond = " ".repeat(MAX_BYTES - mac.len() + 1);
        assert_eq!(parse(&format!("{beyond}{mac}")), Err(Rejection::MalformedSignature));
        assert_eq!(parse(&" ".repeat(MAX_BYTES + 1)), Err(Rejection::MalformedSignature));
    }
}
