//! Verification, without I/O: the signature, then the signed time.
//!
//! 1. exactly one signature header, well-formed, before the body is looked at;
//! 2. the MAC over the raw bytes, one HMAC per secret, compared in constant time;
//! 3. the signed time, checked after the MAC so that *authentic but stale* is its own reason.
//!
//! The body is not copied, and nothing is allocated for a receiver with one secret.

use std::{
    fmt,
    sync::{PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use super::head::{Field, SignedFields, UnsignedFields};
use super::secret::Secret;
use super::secrets::{SecretId, Secrets};
use super::sign::MacKey;
use super::signature::{Signature, SignedAt};
use super::verified::Verified;
use crate::answer::Rejection;
use crate::clock::{ClockError, unix_seconds};
use crate::sender::{Scheme, Sender};

/// 300 s: Circa documentation, Webhooks.
const DEFAULT_TOLERANCE_SECONDS: u64 = 300;

/// An hour: beyond it, a captured delivery stays replayable for longer than anyone means it to.
const MAX_TOLERANCE_SECONDS: u64 = 3_600;

/// Verifies the deliveries of one sender.
///
/// ```
/// # use circa_receiver::{Secret, Verifier, testing::CircularoSigner};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = "circularo-secret-0123456789";
/// # let body = br#"{"documentId":"cd47142b","event":"documentCompleted"}"#.to_vec();
/// # let signature = CircularoSigner::new(secret).sign(&body);
/// let verifier = Verifier::circularo(Secret::new(secret)?);
/// let verified = verifier.verify([("x-circularo-signature", signature.as_bytes())], body, std::time::SystemTime::now())?;
/// assert_eq!(verified.event()?.event_type(), "documentCompleted");
/// # Ok(())
/// # }
/// ```
pub struct Verifier {
    sender: Sender,
    /// Swapped as a whole; `None` on an unsigned receiver.
    keys: Option<RwLock<Box<[Key]>>>,
    /// In seconds; `None` is "off".
    tolerance: Option<u64>,
}

struct Key {
    mac: MacKey,
    id: SecretId,
    secret: Secret,
}

/// A tolerance above 3,600 s was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the tolerance is above 3,600 s, and a captured delivery could be replayed for as long: lower it, or use `dangerous_tolerance`"
)]
pub struct ToleranceError;

impl Verifier {
    /// A verifier for Circa's deliveries, with a tolerance of 300 s.
    pub fn circa(secrets: impl Into<Secrets>) -> Self {
        Self::new(Sender::CIRCA, &secrets.into())
    }

    /// A verifier for Circularo's deliveries. Circularo signs no time, so there is no tolerance.
    pub fn circularo(secrets: impl Into<Secrets>) -> Self {
        Self::new(Sender::CIRCULARO, &secrets.into())
    }

    /// A verifier that accepts Circularo's deliveries unsigned, for webhooks created without an
    /// `hmacSecret`. Dangerous: whoever knows the URL can send events.
    pub fn dangerous_circularo_unsigned() -> Self {
        Self { sender: Sender::CIRCULARO, keys: None, tolerance: None }
    }

    pub(crate) fn new(sender: Sender, secrets: &Secrets) -> Self {
        Self::without_secrets(sender).with(secrets)
    }

    /// That refuses everything, until it is used [`with`](Self::with) secrets.
    pub(crate) fn without_secrets(sender: Sender) -> Self {
        let tolerance = (sender.spec().scheme == Scheme::TimestampAndBody).then_some(DEFAULT_TOLERANCE_SECONDS);
        Self { sender, keys: Some(RwLock::default()), tolerance }
    }

    /// The same with these secrets.
    pub(crate) fn with(&self, secrets: &Secrets) -> Self {
        Self { keys: Some(RwLock::new(keys(secrets))), ..*self }
    }

    /// How far the signed time may be from now, both ends inclusive, past and future alike; whole
    /// seconds, 300 by default (Circa documentation, Webhooks). 0 means the same second. Without
    /// effect on Circularo, which signs no time.
    ///
    /// # Errors
    ///
    /// [`ToleranceError`] above 3,600 s.
    pub fn tolerance(self, tolerance: Duration) -> Result<Self, ToleranceError> {
        if tolerance > Duration::from_secs(MAX_TOLERANCE_SECONDS) {
            return Err(ToleranceError);
        }
        Ok(self.dangerous_tolerance(Some(tolerance)))
    }

    /// Any tolerance, or none at all. Dangerous: a captured delivery can be replayed for as long.
    #[must_use]
    pub fn dangerous_tolerance(mut self, tolerance: Option<Duration>) -> Self {
        self.tolerance = tolerance.map(|tolerance| tolerance.as_secs());
        self
    }

    /// The sender whose deliveries are verified.
    pub fn sender(&self) -> Sender {
        self.sender
    }

    /// `false` where it accepts unsigned deliveries, and where each tenant has a verifier instead.
    #[cfg(feature = "receiver")]
    pub(crate) fn has_secrets(&self) -> bool {
        let keys = self.keys.as_ref();
        keys.is_some_and(|keys| !keys.read().unwrap_or_else(PoisonError::into_inner).is_empty())
    }

    /// Replaces all secrets at once, also while deliveries are in flight: each is compared with one
    /// whole set, the old or the new.
    ///
    /// Without effect on a verifier made by [`Verifier::dangerous_circularo_unsigned`].
    pub fn replace_secrets(&self, secrets: impl Into<Secrets>) {
        if let Some(current) = &self.keys {
            *current.write().unwrap_or_else(PoisonError::into_inner) = keys(&secrets.into());
        }
    }

    /// Puts a new secret in the first place; the one that stood there stays valid beside it, all
    /// others end. Neither has to be known again. Without effect where the new secret stands there
    /// already, and on a verifier made by [`Verifier::dangerous_circularo_unsigned`].
    pub fn rotate_to(&self, secret: Secret) {
        self.rotated_to(secret);
    }

    /// As [`Verifier::rotate_to`]: the secrets that it has put in place, if any.
    pub(crate) fn rotated_to(&self, secret: Secret) -> Option<Secrets> {
        let mut current = self.keys.as_ref()?.write().unwrap_or_else(PoisonError::into_inner);
        let former = current.first()?.secret.clone();
        if former.equals(&secret) {
            return None;
        }
        let secrets = Secrets::rotated(secret, former);
        *current = keys(&secrets);
        Some(secrets)
    }

    /// Verifies one delivery: its headers as pairs of name and raw value, its body as received, and
    /// the time.
    ///
    /// A borrowed slice and all fields of the [signature header](Sender::signature_header) are
    /// enough to verify. To go on with [`Verified::event`] take [`Bytes`](bytes::Bytes) or
    /// `Vec<u8>` as the body, and all headers: an id or type that is not handed over is not
    /// compared with the body's.
    ///
    /// # Errors
    ///
    /// [`Rejection::MissingSignature`], [`Rejection::MalformedSignature`],
    /// [`Rejection::SignatureMismatch`], [`Rejection::Stale`], and [`Rejection::Clock`] for a time
    /// before 1970.
    pub fn verify<'h, B: AsRef<[u8]>>(
        &self,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: B,
        now: SystemTime,
    ) -> Result<Verified<'h, B>, Rejection> {
        let header = self.parse(SignedFields::read(self.sender, headers))?;
        self.finish(&header, body, || unix_seconds(now))
    }

    /// Checks the signature header, before the body is there.
    pub(crate) fn parse<'h>(&self, fields: SignedFields<'h>) -> Result<ParsedHead<'h>, Rejection> {
        let signature = match self.keys {
            None => None,
            Some(_) => Some(Signature::parse(self.sender.spec().scheme, fields.signature)?),
        };
        Ok(ParsedHead { signature, signature_header: fields.signature, unsigned: fields.unsigned })
    }

    /// Compares the MACs, then judges the signed time.
    pub(crate) fn finish<'h, B: AsRef<[u8]>>(
        &self,
        head: &ParsedHead<'h>,
        body: B,
        now: impl FnOnce() -> Result<i64, ClockError>,
    ) -> Result<Verified<'h, B>, Rejection> {
        let ParsedHead { signature, unsigned, .. } = head;
        let mut verified = Verified { sender: self.sender, body, secret: None, signed_at: None, unsigned: *unsigned };
        let (Some(signature), Some(keys)) = (signature, &self.keys) else {
            return Ok(verified);
        };
        verified.secret = {
            // The lock is held while hashing, 0.7 ms for 1 MiB: a rotation can wait that long.
            let keys = keys.read().unwrap_or_else(PoisonError::into_inner);
            let signed_text = signature.signed_at.map(|signed_at| signed_at.text);
            let matches = |key: &&Key| signature.offers(&key.mac.over(signed_text, verified.body.as_ref()));
            Some(keys.iter().find(matches).ok_or(Rejection::SignatureMismatch)?.id.clone())
        };
        if let Some(SignedAt { seconds, .. }) = signature.signed_at {
            let now = now().map_err(|_| Rejection::Clock)?;
            if self.tolerance.is_some_and(|tolerance| seconds.abs_diff(now) > tolerance) {
                return Err(Rejection::Stale { skew_seconds: seconds.saturating_sub(now) });
            }
            verified.signed_at = Some(seconds);
        }
        Ok(verified)
    }
}

fn keys(secrets: &Secrets) -> Box<[Key]> {
    secrets.iter().map(|(id, secret)| Key { mac: MacKey::new(secret.bytes()), id, secret: secret.clone() }).collect()
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("sender", &self.sender)
            .field("tolerance", &self.tolerance)
            .finish_non_exhaustive()
    }
}

/// What the head of a delivery says, its signature header being well-formed.
pub(crate) struct ParsedHead<'h> {
    /// `None` on an unsigned receiver.
    signature: Option<Signature<'h>>,
    /// As it came.
    #[cfg_attr(not(feature = "receiver"), allow(dead_code))]
    pub(crate) signature_header: Field<'h>,
    unsigned: UnsignedFields<'h>,
}
