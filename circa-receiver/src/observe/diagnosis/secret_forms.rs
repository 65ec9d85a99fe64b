//! The keys that a secret becomes by mistake, at the signer or in the configuration.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use zeroize::Zeroizing;

use super::finding::{Diagnosis, Side};

const PREFIX: &[u8] = b"whsec_";

/// With padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Keys by the mistake that makes them, the likeliest first.
#[derive(Default)]
pub(super) struct SecretForms(pub(super) Vec<(Diagnosis, Zeroizing<Vec<u8>>)>);

impl SecretForms {
    /// All that a configured secret may stand for.
    pub(super) fn of(secret: &[u8]) -> Self {
        let mut forms = Self::default();
        forms.mistakes_of_the_configuration(secret);
        forms.mistakes_of_the_signer(secret);
        forms
    }

    fn mistakes_of_the_configuration(&mut self, secret: &[u8]) {
        if let [quote @ (b'"' | b'\''), inner @ .., last] = secret {
            if quote == last {
                self.push(Diagnosis::Quoted(Side::Receiver), inner.to_vec());
            }
        }
        let line = secret.strip_suffix(b"\n").map_or(secret, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let trimmed = secret.trim_ascii();
        if line.len() < secret.len() && line == trimmed {
            self.push(Diagnosis::LineEnd(Side::Receiver), line.to_vec());
        } else if trimmed.len() < secret.len() {
            self.push(Diagnosis::WhiteSpace(Side::Receiver), trimmed.to_vec());
        }
        if !secret.starts_with(PREFIX) {
            self.push(Diagnosis::PrefixStripped(Side::Receiver), [PREFIX, secret].concat());
            let encoded = Zeroizing::new(STANDARD.encode(secret));
            self.push(Diagnosis::Base64Decoded(Side::Receiver), [PREFIX, encoded.as_bytes()].concat());
        }
    }

    fn mistakes_of_the_signer(&mut self, secret: &[u8]) {
        if let Some(rest) = secret.strip_prefix(PREFIX) {
            self.push(Diagnosis::PrefixStripped(Side::Signer), rest.to_vec());
            if let Ok(decoded) = BASE64.decode(rest) {
                self.push(Diagnosis::Base64Decoded(Side::Signer), decoded);
            }
        }
        for quote in [b"\"", b"'"] {
            self.push(Diagnosis::Quoted(Side::Signer), [quote, secret, quote].concat());
        }
        for line_end in [&b"\n"[..], b"\r\n"] {
            self.push(Diagnosis::LineEnd(Side::Signer), [secret, line_end].concat());
        }
        for (before, behind) in [(&b""[..], &b" "[..]), (b" ", b""), (b" ", b" ")] {
            self.push(Diagnosis::WhiteSpace(Side::Signer), [before, secret, behind].concat());
        }
    }

    fn push(&mut self, diagnosis: Diagnosis, key: Vec<u8>) {
        self.0.push((diagnosis, Zeroizing::new(key)));
    }
}
