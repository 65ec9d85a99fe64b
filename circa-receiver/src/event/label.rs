//! A label for logs from an unsigned header.

/// An unsigned header made harmless for logs: control and non-ASCII characters escaped, cut to 64
/// characters (contract, section 6).
pub(super) struct Label(Box<str>);

impl Label {
    const MAX_CHARS: usize = 64;

    pub(super) fn new(value: &[u8]) -> Self {
        let text = String::from_utf8_lossy(value);
        Self(text.chars().flat_map(char::escape_default).take(Self::MAX_CHARS).collect::<String>().into())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
