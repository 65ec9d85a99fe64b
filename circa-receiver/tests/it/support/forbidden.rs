//! What must not be shown, in every form in which it could be.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use sha2::{Digest, Sha256};

/// Enough of something to be told from chance, so that a leak of a part is a leak.
const PART: usize = 8;

/// Texts that must not stand in any output, with the name of what they give away.
#[derive(Clone, Default)]
pub(crate) struct Forbidden {
    texts: Vec<(String, String)>,
    lengths: Vec<(String, String)>,
}

impl Forbidden {
    /// Bytes, as text, in hex, in base64, and as `Debug` lists them; any first part of them as
    /// well.
    pub(crate) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        let part = &bytes[..PART];
        let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let list: Vec<_> = part.iter().map(u8::to_string).collect();
        let escaped = part.escape_ascii().to_string();
        let base64 = [STANDARD.encode(&bytes[..PART + 1]), URL_SAFE_NO_PAD.encode(&bytes[..PART + 1])];
        let forms = [hex, list.join(","), escaped].into_iter().chain(base64);
        // Of a blank secret only its length can be told.
        let plain = std::str::from_utf8(part).ok().map(str::to_owned);
        let forms = forms.chain(plain).map(|form| normal(&form)).filter(|form| !form.is_empty());
        self.texts.extend(forms.map(|form| (name.to_owned(), form)));
    }

    /// A secret: its bytes, its hash, and its length, which must be long enough to stand for
    /// nothing else.
    pub(crate) fn secret(&mut self, name: &str, secret: &[u8]) {
        let distinctive = secret.strip_prefix(b"whsec_").unwrap_or(secret);
        self.bytes(name, distinctive);
        self.bytes(&format!("{name}'s hash"), &Sha256::digest(secret));
        for length in [secret.len(), distinctive.len()] {
            self.lengths.push((format!("{name}'s length"), length.to_string()));
        }
    }

    /// What of this the output holds.
    pub(crate) fn found_in(&self, output: &str) -> Vec<&str> {
        let normalized = normal(output);
        let texts = self.texts.iter().filter(|(_, text)| normalized.contains(text.as_str()));
        let numbers: Vec<_> = output.split(|c: char| !c.is_ascii_digit()).collect();
        let lengths = self.lengths.iter().filter(|(_, length)| numbers.contains(&length.as_str()));
        let mut names: Vec<_> = texts.chain(lengths).map(|(name, _)| name.as_str()).collect();
        names.dedup();
        names
    }
}

/// Without white space, which a pretty-printed list is full of, and without case.
fn normal(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_lowercase()
}
