//! The signature headers: parsed in place, nothing allocated.
//!
//! What is malformed is refused before one byte of the body is polled.

mod circa;
mod circularo;

use super::head::Field;
use super::sign::Mac;
use crate::answer::Rejection;
use crate::sender::Scheme;

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
            Field::One(value) => trim(without_blank_ends(value)),
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

/// How many bytes [`without_blank_ends`] looks at together.
const TOGETHER: usize = 128;

/// Without most of the white space around a value of many kilobytes, which byte by byte would cost more than an accepted delivery.
fn without_blank_ends(mut value: &[u8]) -> &[u8] {
    let is_blank = |bytes: &[u8; TOGETHER]| bytes.iter().fold(true, |all, byte| all & matches!(byte, b' ' | b'\t'));
    while let Some((_, rest)) = value.split_first_chunk().filter(|(first, _)| is_blank(first)) {
        value = rest;
    }
    while let Some((rest, _)) = value.split_last_chunk().filter(|(_, last)| is_blank(last)) {
        value = rest;
    }
    value
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

    /// Contract, section 1: non-empty after trimming; however much there is to trim.
    #[test]
    fn any_amount_of_white_space_around_is_trimmed() {
        let mac = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
        let parse = |value: &str| Signature::parse(Scheme::Body, Field::One(value.as_bytes())).map(drop);
        for length in (0..=2 * TOGETHER + 1).chain([60_000]) {
            let blank = " \t".repeat(length).split_off(length);
            assert_eq!(parse(&format!("{blank}{mac}")), Ok(()), "{length} before");
            assert_eq!(parse(&format!("{mac}{blank}")), Ok(()), "{length} behind");
            assert_eq!(parse(&format!("{blank}{mac}x{blank}")), Err(Rejection::MalformedSignature), "{length} around");
            assert_eq!(parse(&blank), Err(Rejection::MissingSignature), "{length} alone");
        }
    }
}
