//! HMAC-SHA256 with the key compressed once, and constant-time comparison; both by the library.

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// 32 bytes of HMAC-SHA256. No `Debug`, no `==`: it is never printed and only compared in constant time.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mac([u8; 32]);

impl Mac {
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
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

    pub(crate) fn start(&self) -> MacState {
        MacState(self.0.clone())
    }
}

/// A MAC being computed.
#[derive(Clone)]
pub(crate) struct MacState(Hmac<Sha256>);

impl MacState {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Mac {
        Mac(self.0.finalize().into_bytes().into())
    }
}
