//! The signature headers: parsed in place, nothing allocated.
//!
//! What is malformed is refused before one byte of the body is polled. The grammar .

mod circa;
mod circularo;
mod mac;

pub(crate) use mac::{Mac, MacKey, MacState};

use crate::{Rejection, delivery::Field, sender::Scheme};

/// At most this many `v1` in one header (`Circa-Signature`); bounds the comparisons, not the hashing, which is one per secret.
const MAX_CANDIDATES: usize = 8;

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

/// The MACs that a header offers, at most [`MAX_CANDIDATES`].
#[derive(Default)]
pub(crate) struct Candidates {
    macs: [Mac; MAX_CANDIDATES],
    len: usize,
}

impl Candidates {
    fn push(&mut self, mac: Mac) -> Result<(), Rejection> {
        *self.macs.get_mut(self.len).ok_or(Rejection::MalformedSignature)? = mac;
        self.len += 1;
        Ok(())
    }

    /// Whether any candidate equals `expected`; each comparison takes constant time.
    pub(crate) fn contain(&self, expected: &Mac) -> bool {
        self.macs[..self.len].iter().any(|candidate| candidate.matches(expected))
    }
}

impl<'h> Signature<'h> {
    /// Checks that there is exactly one signature header and that it is well-formed.
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
