//! A delivery whose signature matches no secret, and the search for the mistake behind it.

use std::fmt;

use super::body_forms::BodyForms;
use super::finding::{Diagnosis, Origin};
use super::secret_forms::SecretForms;
use super::time_forms::time_forms;
use super::trials::{MAX_BODY_BYTES, Trials};
use crate::answer::Rejection;
use crate::sender::Sender;
use crate::verify::{Field, Secrets, Signature};

/// A delivery whose signature matches no secret.
///
/// The search computes at most 64 MACs, each over at most 64 KiB. It changes no verdict: it only
/// says which mistake would have made the signature that came.
///
/// ```
/// # use circa_receiver::{Diagnosis, Secret, Secrets, Sender, observe::{Mismatch, Side}, testing::CircaSigner};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secrets = Secrets::from(Secret::new("whsec_0123456789abcdef")?);
/// let body = br#"{"id":"evt_1","type":"webhook.test","data":{}}"#;
/// let header = CircaSigner::new("0123456789abcdef").sign(1747000800, body);
/// let diagnosis = Mismatch::new(Sender::CIRCA, header.as_bytes(), body, &secrets)?.diagnose();
/// assert_eq!(diagnosis, Diagnosis::PrefixStripped(Side::Signer));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Mismatch<'a> {
    signature: Signature<'a>,
    body: &'a [u8],
    secrets: &'a Secrets,
    others: Vec<(Origin, &'a Secrets)>,
}

impl<'a> Mismatch<'a> {
    /// A delivery to an endpoint with these secrets: the value of its
    /// [signature header](Sender::signature_header), and its body as received.
    ///
    /// # Errors
    ///
    /// [`Rejection::MissingSignature`] and [`Rejection::MalformedSignature`]: such a header holds
    /// no signature to explain.
    pub fn new(sender: Sender, signature: &'a [u8], body: &'a [u8], secrets: &'a Secrets) -> Result<Self, Rejection> {
        let signature = Signature::parse(sender.spec().scheme, Field::One(signature))?;
        Ok(Self { signature, body, secrets, others: Vec::new() })
    }

    /// Tries these secrets too, as they are.
    pub fn other(mut self, origin: Origin, secrets: &'a Secrets) -> Self {
        self.others.push((origin, secrets));
        self
    }

    /// The first mistake that explains the signature.
    pub fn diagnose(&self) -> Diagnosis {
        if self.body.len() > MAX_BODY_BYTES {
            return Diagnosis::BodyTooLong;
        }
        let mut trials = Trials::of(&self.signature);
        let found = self.another_secret(&mut trials).or_else(|| self.another_time(&mut trials));
        found.or_else(|| self.another_body(&mut trials)).unwrap_or(Diagnosis::Unexplained)
    }

    fn another_secret(&self, trials: &mut Trials<'_, 'a>) -> Option<Diagnosis> {
        let signed_at = self.signed_at();
        for (origin, secrets) in &self.others {
            if secrets.iter().any(|(_, secret)| trials.fits(secret.bytes(), signed_at, self.body)) {
                return Some(Diagnosis::OtherSecret(*origin));
            }
        }
        self.with_each_secret(|secret| {
            let mut forms = SecretForms::of(secret).0.into_iter();
            forms.find(|(_, key)| trials.fits(key, signed_at, self.body)).map(|(diagnosis, _)| diagnosis)
        })
    }

    fn another_time(&self, trials: &mut Trials<'_, 'a>) -> Option<Diagnosis> {
        let forms = time_forms(self.signature.signed_at?, self.body);
        self.with_each_secret(|secret| {
            let mut forms = forms.iter();
            let found = forms.find(|(_, time)| trials.fits(secret, time.as_deref().map(str::as_bytes), self.body));
            found.map(|(diagnosis, _)| *diagnosis)
        })
    }

    fn another_body(&self, trials: &mut Trials<'_, 'a>) -> Option<Diagnosis> {
        let forms = BodyForms::of(self.body).forms;
        self.with_each_secret(|secret| {
            let found = forms.iter().find(|(_, body)| trials.fits(secret, self.signed_at(), body));
            found.map(|(diagnosis, _)| *diagnosis)
        })
    }

    fn with_each_secret(&self, find: impl FnMut(&[u8]) -> Option<Diagnosis>) -> Option<Diagnosis> {
        self.secrets.iter().map(|(_, secret)| secret.bytes()).find_map(find)
    }

    fn signed_at(&self) -> Option<&'a [u8]> {
        self.signature.signed_at.map(|signed_at| signed_at.text)
    }
}

impl fmt::Debug for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mismatch").field("secrets", self.secrets).field("others", &self.others).finish_non_exhaustive()
    }
}
