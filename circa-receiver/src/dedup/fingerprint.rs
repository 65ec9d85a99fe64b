//! The fingerprint of a body.

use twox_hash::XxHash3_128;

/// The XXH3 of a body, by which a store tells that an event id came with another body. The same in
/// every process and version.
///
/// It guards against a sender's mistake, not against forgery: what differs has been signed too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a body: its XXH3 of 128 bits big-endian, its length as 8 bytes big-endian, and zeros.
    pub(crate) fn of(body: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(&XxHash3_128::oneshot(body).to_be_bytes());
        bytes[16..24].copy_from_slice(&(body.len() as u64).to_be_bytes());
        Self(bytes)
    }

    /// From the bytes of one.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stores keep fingerprints across versions: the digests are those of `xxhash` for Python,
    /// another implementation.
    #[test]
    fn fingerprints_never_change() {
        for (body, digest) in [
            (b"{}".to_vec(), 0xdc7048f8f8747f561349cde127705c16),
            (vec![b'a'; 1_000], 0xb01da365eddaa29cb3e7af627147db7c_u128),
        ] {
            let mut expected = [0; 32];
            expected[..16].copy_from_slice(&digest.to_be_bytes());
            expected[16..24].copy_from_slice(&(body.len() as u64).to_be_bytes());
            assert_eq!(Fingerprint::of(&body).to_bytes(), expected, "{} bytes", body.len());
        }
    }
}
