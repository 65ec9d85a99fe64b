//! Why a secret is refused, and what to do about it.

use std::fmt;

/// Why a secret, or a set of them, was refused. Says what to do; never holds the secret, nor its
/// length.
///
/// `Debug` says the same as `Display`: it is what a `main` prints that returns this error.
#[non_exhaustive]
#[derive(Clone, Eq, PartialEq, thiserror::Error)]
pub enum SecretError {
    /// The environment variable is not set.
    #[error("the environment variable {0} is not set: set it to the endpoint's signing secret")]
    NotSet(String),
    /// The secret in the environment variable was refused.
    #[error("the secret in the environment variable {variable} was refused: {error}")]
    InVariable {
        /// The variable's name.
        variable: String,
        /// Why.
        error: Box<SecretError>,
    },
    /// The file cannot be read.
    #[error("the secret's file {path} cannot be read: {kind}")]
    Unreadable {
        /// Where it should be.
        path: String,
        /// Why.
        kind: std::io::ErrorKind,
    },
    /// The secret in the file was refused.
    #[error("the secret in the file {path} was refused: {error}")]
    InFile {
        /// Where it is.
        path: String,
        /// Why.
        error: Box<SecretError>,
    },
    /// The secret is given twice: in a variable, and in a file.
    #[error("{0} and {0}_FILE are both set: set one of them")]
    BothSet(String),
    /// The secret is empty or consists of white space.
    #[error(
        "the secret is empty or blank: anyone could sign with it; copy the endpoint's signing secret from the sender's portal"
    )]
    Blank,
    /// The secret is the bare prefix `whsec_`.
    #[error("the secret is only the prefix `whsec_`: copy the whole secret")]
    BarePrefix,
    /// There is white space before or after the secret.
    #[error("the secret begins or ends with white space, which would be part of the key: trim it where it is stored")]
    OuterWhitespace,
    /// There is a control character or a NUL in the secret.
    #[error("the secret holds a control character or a NUL: it was damaged on its way; copy it again")]
    ControlCharacter,
    /// There is a character in the secret that nobody sees: a byte order mark, a zero-width or a
    /// non-breaking one.
    #[error(
        "the secret holds an invisible character (U+{0:04X}): it came along when the secret was copied; copy it as plain text"
    )]
    InvisibleCharacter(u32),
    /// The secret is shorter than 16 bytes.
    #[error("the secret is shorter than 16 bytes and could be guessed: use a longer one, or `Secret::dangerous_short`")]
    Short,
    /// No secret was given.
    #[error("no secret was given: a receiver needs at least one")]
    None,
    /// More than 8 secrets were given.
    #[error("more than 8 secrets were given: keep the current one and those being rotated out")]
    TooMany,
    /// Both senders were given the same secret.
    #[error("Circa and Circularo were given the same secret: a secret belongs to one endpoint; give each its own")]
    SharedBetweenSenders,
}

impl fmt::Debug for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
