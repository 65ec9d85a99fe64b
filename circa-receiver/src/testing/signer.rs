//! Signers for both senders.

use crate::clock::{Clock, SystemClock};
use crate::verify::MacKey;
use crate::verify::hex;

/// Signs as Circa does: `t=<unix seconds>,v1=<hex of HMAC-SHA256 over t + "." + body>` (Circa
/// documentation, Webhooks).
#[derive(Clone)]
pub struct CircaSigner {
    keys: Vec<MacKey>,
}

impl CircaSigner {
    /// A signer with one secret, any bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self { keys: vec![MacKey::new(secret.as_ref())] }
    }

    /// Signs with one secret more, as during a rotation: one `v1` for each, in order.
    #[must_use]
    pub fn and(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.keys.push(MacKey::new(secret.as_ref()));
        self
    }

    /// The value of `Circa-Signature` for a body signed at this unix time, in seconds: now, in the
    /// past for a stale delivery, or ahead.
    pub fn sign(&self, at: i64, body: &[u8]) -> String {
        self.keys.iter().fold(format!("t={at}"), |header, key| {
            let text = at.to_string();
            header + ",v1=" + &hex::encode(key.over(Some(text.as_bytes()), body).to_bytes())
        })
    }

    /// The value of `Circa-Signature` for a body signed now, by the system's clock.
    ///
    /// # Panics
    ///
    /// If the system's clock stands before 1970.
    pub fn sign_now(&self, body: &[u8]) -> String {
        self.sign(SystemClock.unix_seconds().expect("the system's clock stands after 1970"), body)
    }
}

/// Signs as Circularo does: the hex of HMAC-SHA256 over the body (Circularo documentation,
/// Webhooks).
#[derive(Clone)]
pub struct CircularoSigner {
    key: MacKey,
}

impl CircularoSigner {
    /// A signer with one secret, any bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Self {
        Self { key: MacKey::new(secret.as_ref()) }
    }

    /// The value of `x-circularo-signature` for a body.
    pub fn sign(&self, body: &[u8]) -> String {
        hex::encode(self.key.over(None, body).to_bytes())
    }
}

impl std::fmt::Debug for CircaSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CircaSigner").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CircularoSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CircularoSigner").finish_non_exhaustive()
    }
}
