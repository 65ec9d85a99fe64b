//! Signing secrets: refused early when they cannot be right, never printed, zeroized on drop.

use std::{fmt, path::Path, sync::Arc};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::secret_error::SecretError;

/// The shortest secret that is taken without [`Secret::dangerous_short`], in bytes (128 bits), all of
/// them counted (contract, section 4).
const MIN_BYTES: usize = 16;

/// What Circa's secrets begin with. It is part of the key (Circa documentation, Webhooks).
pub(crate) const PREFIX: &[u8] = b"whsec_";

/// Characters that a copy from a page or an editor brings along and that nobody sees.
const INVISIBLE: [char; 9] =
    ['\u{a0}', '\u{ad}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{202f}', '\u{2060}', '\u{2007}', '\u{feff}'];

/// A signing secret: the whole string as bytes, `whsec_` included; nothing is stripped and nothing
/// decoded (Circa documentation, Webhooks; Circularo documentation, Webhooks).
///
/// Zeroized on drop. `Debug` shows the label only.
#[derive(Clone)]
pub struct Secret {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) label: Option<Arc<str>>,
}

impl Secret {
    /// A secret from its text, or from raw bytes, which need not be UTF-8.
    ///
    /// # Errors
    ///
    /// Refused if empty or blank, the bare prefix `whsec_`, with white space around it, with
    /// control or invisible characters or NUL in a text, or shorter than 16 bytes, `whsec_`
    /// included.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        let secret = secret.as_ref();
        refuse_malformed(secret)?;
        if secret.len() < MIN_BYTES {
            return Err(SecretError::Short);
        }
        Ok(Self::from_bytes(secret))
    }

    /// A secret shorter than 16 bytes. Dangerous: whoever guesses it can forge events.
    ///
    /// # Errors
    ///
    /// As [`Secret::new`], but for the length.
    pub fn dangerous_short(secret: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        refuse_malformed(secret.as_ref())?;
        Ok(Self::from_bytes(secret.as_ref()))
    }

    /// Any bytes but none. Dangerous: nothing is checked; for known answers in tests.
    ///
    /// # Errors
    ///
    /// [`SecretError::Blank`] for no bytes at all: no constructor takes the empty key.
    pub fn dangerous_unchecked(secret: impl AsRef<[u8]>) -> Result<Self, SecretError> {
        if secret.as_ref().is_empty() {
            return Err(SecretError::Blank);
        }
        Ok(Self::from_bytes(secret.as_ref()))
    }

    /// The secret in an environment variable, labelled with the variable's name.
    ///
    /// # Errors
    ///
    /// [`SecretError::NotSet`], or the reason of [`Secret::new`] together with the variable's name.
    pub fn from_env(variable: &str) -> Result<Self, SecretError> {
        let value = std::env::var_os(variable).ok_or_else(|| SecretError::NotSet(variable.to_owned()))?;
        // The platform's encoding: on Unix the very bytes, UTF-8 or not.
        let bytes = Zeroizing::new(value.into_encoded_bytes());
        let secret = Self::new(&*bytes)
            .map_err(|error| SecretError::InVariable { variable: variable.to_owned(), error: Box::new(error) })?;
        Ok(secret.labeled(variable))
    }

    /// The secret in a file, as orchestrators mount it, labelled with the file's name. One line end
    /// at its end is taken off, and nothing else.
    ///
    /// # Errors
    ///
    /// [`SecretError::Unreadable`], or the reason of [`Secret::new`] together with the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, SecretError> {
        let path = path.as_ref();
        let shown = || path.display().to_string();
        let bytes = std::fs::read(path).map(Zeroizing::new);
        let bytes = bytes.map_err(|error| SecretError::Unreadable { path: shown(), kind: error.kind() })?;
        let line = bytes.strip_suffix(b"\n").map_or(&bytes[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
        let secret = Self::new(line).map_err(|error| SecretError::InFile { path: shown(), error: Box::new(error) })?;
        let name = path.file_name().unwrap_or_default();
        Ok(secret.labeled(&name.to_string_lossy()))
    }

    /// The same secret with a label, by which outcomes and logs name it instead of by its position.
    #[must_use]
    pub fn labeled(mut self, label: &str) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Whether both are the same bytes, in constant time.
    pub(super) fn equals(&self, other: &Self) -> bool {
        self.bytes.ct_eq(&other.bytes).into()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        Self { bytes: Zeroizing::new(bytes.to_vec()), label: None }
    }
}

impl TryFrom<&str> for Secret {
    type Error = SecretError;

    /// As [`Secret::new`].
    fn try_from(secret: &str) -> Result<Self, SecretError> {
        Self::new(secret)
    }
}

fn refuse_malformed(secret: &[u8]) -> Result<(), SecretError> {
    // Bytes that are not UTF-8 are a binary key, in which any byte may stand but white space at the
    // ends.
    let text = std::str::from_utf8(secret).ok();
    let trimmed = text.map_or_else(|| secret.trim_ascii(), |text| text.trim().as_bytes());
    if trimmed.is_empty() {
        return Err(SecretError::Blank);
    }
    if secret == PREFIX {
        return Err(SecretError::BarePrefix);
    }
    if let Some(invisible) = text.and_then(|text| text.chars().find(|character| INVISIBLE.contains(character))) {
        return Err(SecretError::InvisibleCharacter(invisible.into()));
    }
    if trimmed.len() != secret.len() {
        return Err(SecretError::OuterWhitespace);
    }
    if text.is_some_and(|text| text.contains(char::is_control)) {
        return Err(SecretError::ControlCharacter);
    }
    Ok(())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("label", &self.label).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract, section 4: "with an error that says what to do", also where a `main` returns it
    /// and only `Debug` is printed.
    #[test]
    fn debug_says_what_to_do() {
        let error = Secret::from_env("A_VARIABLE_THAT_NOBODY_SETS").map(drop).expect_err("not set");
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(format!("{error:?}").contains("set it to the endpoint's signing secret"));
    }

    /// Contract, section 4: what is refused when the receiver is built.
    #[test]
    fn refused_secrets() {
        let cases: [(&str, &[u8], Result<(), SecretError>); 22] = [
            ("empty", b"", Err(SecretError::Blank)),
            ("blank", b"   ", Err(SecretError::Blank)),
            ("blank in Unicode", "\u{a0}\u{2003}".as_bytes(), Err(SecretError::Blank)),
            ("bare prefix", b"whsec_", Err(SecretError::BarePrefix)),
            ("leading space", b" whsec_0123456789abcdef", Err(SecretError::OuterWhitespace)),
            ("trailing newline", b"whsec_0123456789abcdef\n", Err(SecretError::OuterWhitespace)),
            ("trailing NUL", b"whsec_0123456789abcdef\0", Err(SecretError::ControlCharacter)),
            ("inner tab", b"whsec_01234567\t9abcdef", Err(SecretError::ControlCharacter)),
            ("C1 control character", "whsec_0123456\u{85}789abcdef".as_bytes(), Err(SecretError::ControlCharacter)),
            ("15 bytes", b"0123456789abcde", Err(SecretError::Short)),
            ("16 bytes", b"0123456789abcdef", Ok(())),
            ("15 bytes with the prefix", b"whsec_012345678", Err(SecretError::Short)),
            ("16 bytes with the prefix", b"whsec_0123456789", Ok(())),
            (
                "byte order mark",
                "\u{feff}whsec_0123456789abcdef".as_bytes(),
                Err(SecretError::InvisibleCharacter(0xfeff)),
            ),
            (
                "zero-width space",
                "whsec_0123\u{200b}456789abcdef".as_bytes(),
                Err(SecretError::InvisibleCharacter(0x200b)),
            ),
            ("word joiner", "whsec_0123456789abcdef\u{2060}".as_bytes(), Err(SecretError::InvisibleCharacter(0x2060))),
            (
                "non-breaking space",
                "whsec_0123456789abcdef\u{a0}".as_bytes(),
                Err(SecretError::InvisibleCharacter(0xa0)),
            ),
            ("a letter beyond ASCII", "whsec_caf\u{e9}_0123456789abcdef".as_bytes(), Ok(())),
            ("inner space", b"It's a Secret to Everybody", Ok(())),
            ("quoted", b"\"whsec_0123456789abcdef\"", Ok(())),
            ("not UTF-8", b"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x00\x01\x90", Ok(())),
            (
                "not UTF-8, trailing newline",
                b"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\n",
                Err(SecretError::OuterWhitespace),
            ),
        ];
        for (name, secret, expected) in cases {
            assert_eq!(Secret::new(secret).map(drop), expected, "{name}");
        }
    }

    /// Files end with a line end, which is no part of the secret; more than one was never meant.
    #[test]
    fn a_file_holds_the_secret_and_one_line_end() {
        let good = "whsec_0123456789abcdef";
        let file = std::env::temp_dir().join(format!("circa-receiver-secret-{}", std::process::id()));
        let refused = |error| Err(SecretError::InFile { path: file.display().to_string(), error: Box::new(error) });
        let cases = [
            ("none", good.to_owned(), Ok(())),
            ("LF", format!("{good}\n"), Ok(())),
            ("CRLF", format!("{good}\r\n"), Ok(())),
            ("two", format!("{good}\n\n"), refused(SecretError::OuterWhitespace)),
            ("a space", format!("{good} \n"), refused(SecretError::OuterWhitespace)),
            ("nothing else", "\n".to_owned(), refused(SecretError::Blank)),
        ];
        for (name, content, expected) in cases {
            std::fs::write(&file, content).expect("written");
            let secret = Secret::from_file(&file);
            if let Ok(secret) = &secret {
                assert_eq!(secret.bytes(), good.as_bytes(), "{name}");
                assert_eq!(secret.label.as_deref(), file.file_name().and_then(|name| name.to_str()), "{name}");
            }
            assert_eq!(secret.map(drop), expected, "{name}");
        }
        std::fs::remove_file(&file).expect("removed");
        let gone = Secret::from_file(&file).map(drop);
        assert!(matches!(gone, Err(SecretError::Unreadable { kind: std::io::ErrorKind::NotFound, .. })), "{gone:?}");
    }

    #[test]
    fn the_escape_hatches_lift_only_what_they_name() {
        assert!(Secret::dangerous_short("optionalHMAC").is_ok());
        assert_eq!(Secret::dangerous_short("").map(drop), Err(SecretError::Blank));
        assert_eq!(Secret::dangerous_short(" x").map(drop), Err(SecretError::OuterWhitespace));
        assert!(Secret::dangerous_unchecked("\0").is_ok());
        assert_eq!(Secret::dangerous_unchecked("").map(drop), Err(SecretError::Blank));
    }
}
