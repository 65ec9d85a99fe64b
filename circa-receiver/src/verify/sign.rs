//! The HMAC-SHA256 over what a sender signs, and its comparison in constant time.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// 32 bytes of HMAC-SHA256. No `Debug`, no `==`: it is never printed and only compared in constant
/// time.
///
/// Kept as words: `subtle` compares an array element by element, 4 steps instead of 32.
pub(crate) struct Mac([u64; 4]);

impl Mac {
    /// Compares all 32 bytes with all 32, in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            bytes.copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}

impl From<[u8; 32]> for Mac {
    fn from(bytes: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().expect("a chunk is 8 bytes long"));
        }
        Self(words)
    }
}

/// A secret as prepared HMAC state: its key blocks are compressed once here, and the state is
/// cloned per delivery.
#[derive(Clone)]
pub(crate) struct MacKey(Hmac<Sha256>);

impl MacKey {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"))
    }

    /// The MAC over the body, or over `signed_at + "." + body`. Neither is copied.
    pub(crate) fn over(&self, signed_at: Option<&[u8]>, body: &[u8]) -> Mac {
        let mut mac = self.0.clone();
        if let Some(signed_at) = signed_at {
            mac.update(signed_at);
            mac.update(b".");
        }
        mac.update(body);
        <[u8; 32]>::from(mac.finalize().into_bytes()).into()
    }
}
