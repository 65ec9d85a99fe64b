//! The secrets of one endpoint: the current one, and those being rotated out.

use std::{fmt, sync::Arc};

use super::secret::Secret;
use super::secret_error::SecretError;

/// At most this many secrets at once: enough for any rotation, and a bound on the HMACs per
/// delivery.
const MAX_SECRETS: usize = 8;

/// One to eight secrets, any of which may match: the current one, and those being rotated out.
#[derive(Clone, Debug)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// One to eight secrets, in the order in which their positions are reported.
    ///
    /// # Errors
    ///
    /// [`SecretError::None`] and [`SecretError::TooMany`].
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Result<Self, SecretError> {
        let secrets: Vec<_> = secrets.into_iter().collect();
        match secrets.len() {
            0 => Err(SecretError::None),
            1..=MAX_SECRETS => Ok(Self(secrets)),
            _ => Err(SecretError::TooMany),
        }
    }

    /// The secrets of one endpoint from the environment: the one in `variable`, and, while it is
    /// rotated, the former one in `<variable>_OLD`. With `_FILE` behind either name the variable
    /// holds the path of a file, as for [`Secret::from_file`]. A variable that is set to nothing is
    /// not set.
    ///
    /// # Errors
    ///
    /// [`SecretError::NotSet`], [`SecretError::BothSet`], or why a secret was refused, with where
    /// it stands.
    pub fn from_env(variable: &str) -> Result<Self, SecretError> {
        let current = secret_in_env(variable)?.ok_or_else(|| SecretError::NotSet(variable.to_owned()))?;
        Self::new([current].into_iter().chain(secret_in_env(&format!("{variable}_OLD"))?))
    }

    /// Refuses a secret that stands in both sets: call it where one configuration builds receivers
    /// for both senders.
    ///
    /// # Errors
    ///
    /// [`SecretError::SharedBetweenSenders`].
    pub fn ensure_distinct(&self, other: &Self) -> Result<(), SecretError> {
        let shared = self.0.iter().any(|a| other.0.iter().any(|b| a.equals(b)));
        if shared { Err(SecretError::SharedBetweenSenders) } else { Ok(()) }
    }

    #[cfg(feature = "receiver")]
    pub(crate) fn as_slice(&self) -> &[Secret] {
        &self.0
    }

    /// A new secret, and the former one beside it.
    pub(super) fn rotated(new: Secret, former: Secret) -> Self {
        Self(vec![new, former])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SecretId, &Secret)> {
        let secrets = self.0.iter().enumerate();
        secrets.map(|(position, secret)| (SecretId { position, label: secret.label.clone() }, secret))
    }
}

/// In the variable itself, or in the file that the variable with `_FILE` behind its name points to.
fn secret_in_env(variable: &str) -> Result<Option<Secret>, SecretError> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let in_file = format!("{variable}_FILE");
    match (set(variable), set(&in_file)) {
        (Some(_), Some(_)) => Err(SecretError::BothSet(variable.to_owned())),
        (Some(_), None) => Secret::from_env(variable).map(Some),
        (None, Some(path)) => Ok(Some(Secret::from_file(path)?.labeled(&in_file))),
        (None, None) => Ok(None),
    }
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self(vec![secret])
    }
}

/// Which of the configured secrets matched: its position, and its label if it has one. Never its
/// content.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SecretId {
    position: usize,
    label: Option<Arc<str>>,
}

impl SecretId {
    /// The id of a secret, as it was stored.
    #[cfg(feature = "receiver")]
    pub(crate) fn stored(position: usize, label: Option<&str>) -> Self {
        Self { position, label: label.map(Into::into) }
    }

    /// Its place among the configured secrets, from 0.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The label given with [`Secret::labeled`]; for [`Secret::from_env`], the variable's name.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => f.write_str(label),
            None => write!(f, "#{}", self.position),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_nine_and_shared_secrets_are_refused() {
        let secret = |n: usize| Secret::new(format!("whsec_0123456789abcdef{n}")).expect("a good secret");
        assert_eq!(Secrets::new([]).map(drop), Err(SecretError::None));
        assert!(Secrets::new((0..8).map(secret)).is_ok());
        assert_eq!(Secrets::new((0..9).map(secret)).map(drop), Err(SecretError::TooMany));
        let both = Secrets::new([secret(0), secret(1)]).expect("two secrets");
        assert_eq!(both.ensure_distinct(&secret(1).into()), Err(SecretError::SharedBetweenSenders));
        assert_eq!(both.ensure_distinct(&secret(2).into()), Ok(()));
    }
}
