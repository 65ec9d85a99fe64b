//! Parses a signature header: exactly one, within its length, well-formed for its sender.

use super::offered::{Signature, trim};
use super::{circa, circularo};
use crate::answer::Rejection;
use crate::sender::Scheme;
use crate::verify::head::Field;

/// A longer header is refused before anything else is done to it (contract, section 2).
const MAX_BYTES: usize = 1_024;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract, section 2: spaces and tabs around the value are trimmed; a value over the limit is
    /// refused untouched.
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
