//! HMAC-SHA256 with the key compressed once, and constant-time comparison; both by the library.

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// 32 bytes of HMAC-SHA256. No `Debug`, no `==`: it is never printed and only compared in constant time.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mac([u8; 32]);

impl Mac {
    /// In constant time, all 32 bytes against all 32. As four words: byte by byte the library takes six times as long.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.words().ct_eq(&other.words()).into()
    }

    fn words(&self) -> [u64; 4] {
        std::array::from_fn(|word| u64::from_ne_bytes(std::array::from_fn(|byte| self.0[8 * word + byte])))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl From<[u8; 32]> for Mac {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A secret as HMAC state: its two key blocks are compressed when it is made, not per delivery.
#[derive(Clone)]
pub(crate) struct MacKey(Hmac<Sha256>);

impl MacKey {
    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"))
    }

    /// The MAC over the body, or over `signed_at + "." + body`; neither is copied.
    #[inline]
    pub(crate) fn over(&self, signed_at: Option<&[u8]>, body: &[u8]) -> Mac {
        let mut mac = self.0.clone();
        if let Some(signed_at) = signed_at {
            mac.update(signed_at);
            mac.update(b".");
        }
        mac.update(body);
        Mac(mac.finalize().into_bytes().into())
    }
}
