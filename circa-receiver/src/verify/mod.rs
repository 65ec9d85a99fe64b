//! From bytes to a [`Verified`] delivery, without I/O.
//!
//! 1. `head`: the header fields that are read, found in one walk;
//! 2. `secret`: a signing secret, refused early where it cannot be right, with a `secret_error`;
//!    `secrets`: those of one endpoint;
//! 3. `signature`: the grammars of the two signature headers;
//! 4. `hex`: 64 hex digits to 32 bytes and back;
//! 5. `sign`: the HMAC over what a sender signs;
//! 6. `verifier`: compares the MACs, then judges the signed time against the tolerance;
//! 7. `verified`: an authentic delivery, just verified or read back from where it was stored.

mod head;
pub(crate) mod hex;
mod secret;
mod secret_error;
mod secrets;
mod sign;
mod signature;
mod verified;
mod verifier;

pub use head::Head;
pub use secret::Secret;
pub use secret_error::SecretError;
pub use secrets::{SecretId, Secrets};
pub use verified::Verified;
pub use verifier::{ToleranceError, Verifier};

pub(crate) use head::Field;
#[cfg(feature = "receiver")]
pub(crate) use head::HeadFields;
#[cfg(feature = "receiver")]
pub(crate) use secret::PREFIX;
#[cfg(any(feature = "receiver", feature = "testing"))]
pub(crate) use sign::MacKey;
#[cfg(feature = "receiver")]
pub(crate) use signature::{Signature, SignedAt};
#[cfg(feature = "receiver")]
pub(crate) use verifier::ParsedHead;
