//! The bound on what a diagnosis costs.

use crate::verify::{MacKey, Signature};

/// At most so many MACs are computed.
const MAX_MACS: usize = 64;

/// A MAC is computed over at most so many bytes of a body.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1_024;

/// Compares what may have been signed with the signature that was offered.
pub(super) struct Trials<'s, 'h> {
    signature: &'s Signature<'h>,
    left: usize,
}

impl<'s, 'h> Trials<'s, 'h> {
    pub(super) fn of(signature: &'s Signature<'h>) -> Self {
        Self { signature, left: MAX_MACS }
    }

    /// Whether the signature is that of this key over this time and body; `false` once the bound is
    /// reached.
    pub(super) fn fits(&mut self, key: &[u8], signed_at: Option<&[u8]>, body: &[u8]) -> bool {
        if self.left == 0 || body.len() > MAX_BODY_BYTES {
            return false;
        }
        self.left -= 1;
        self.signature.offers(&MacKey::new(key).over(signed_at, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender::Scheme;
    use crate::verify::Field;

    #[test]
    fn no_more_macs_than_the_bound() {
        let header = "00".repeat(32);
        let signature = Signature::parse(Scheme::Body, Field::One(header.as_bytes())).expect("well-formed");
        let mut trials = Trials::of(&signature);
        (0..100).for_each(|_| assert!(!trials.fits(b"key", None, b"body")));
        assert_eq!(trials.left, 0);
        let mut trials = Trials::of(&signature);
        trials.fits(b"key", None, &[0; MAX_BODY_BYTES + 1]);
        assert_eq!(trials.left, MAX_MACS, "a body beyond the bound is not hashed");
    }
}
