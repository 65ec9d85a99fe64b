//! What a receiver warns about: settings that are allowed but unwise.

use std::fmt;

use crate::verify::{PREFIX, Secret, Secrets};

/// Settings that are allowed but unwise.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ConfigWarning {
    /// The dedup retention is shorter than the span of the sender's retries: 112,350 s for Circa
    /// (Circa documentation, Webhooks).
    RetentionBelowRetrySpan,
    /// A secret stands in quotes, which are part of the key: a file of variables was read by
    /// something that keeps them.
    SecretInQuotes,
    /// A secret begins with `v1,`, which is part of the key: it may have been copied from a
    /// signature, or from another sender.
    SecretWithVersion,
    /// A secret behind `whsec_` looks like base64. Neither sender has it decoded: the key is the
    /// whole text.
    SecretLooksLikeBase64,
}

impl ConfigWarning {
    /// What is odd about secrets that are taken as they are.
    pub(crate) fn of_secrets(secrets: &Secrets) -> impl Iterator<Item = Self> {
        secrets.as_slice().iter().filter_map(Self::of_secret)
    }

    fn of_secret(secret: &Secret) -> Option<Self> {
        let bytes = secret.bytes();
        match bytes {
            [b'"', .., b'"'] | [b'\'', .., b'\''] => Some(Self::SecretInQuotes),
            [b'v', b'1', b',', ..] => Some(Self::SecretWithVersion),
            _ if bytes.strip_prefix(PREFIX).is_some_and(looks_like_base64) => Some(Self::SecretLooksLikeBase64),
            _ => None,
        }
    }
}

/// In whole groups of four, with a character that hex and identifiers do not have.
fn looks_like_base64(text: &[u8]) -> bool {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let only_its_digits = digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    text.len() % 4 == 0 && only_its_digits && text.iter().any(|byte| matches!(byte, b'+' | b'/' | b'='))
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RetentionBelowRetrySpan => {
                "the dedup retention is shorter than the span of the sender's retries: a late retry would be handled again"
            }
            Self::SecretInQuotes => {
                "a secret stands in quotes, which are taken as part of it: remove them where it is stored, unless the sender has them too"
            }
            Self::SecretWithVersion => {
                "a secret begins with `v1,`, which is taken as part of it: check that it is the signing secret that the portal shows"
            }
            Self::SecretLooksLikeBase64 => {
                "a secret looks like base64 behind `whsec_`; it is not decoded: check that it is the secret of this sender"
            }
        })
    }
}
