//! The members of a JSON object, one after the other, each with its place in the text.
//!
//! `serde_json` reads every value but strings without escapes; here stands what is between them. A visitor of its own is not told where a value that it decodes
//! stands in the text.

use std::{borrow::Cow, collections::HashSet};

use serde::{
    Deserialize,
    de::{Deserializer, IgnoredAny, Visitor},
};

/// Reads an object that is the whole of a JSON text. Every `None` is an error, after which only [`Members::typed_value`] may be tried as another type.
pub(super) struct Members<'a> {
    json: &'a str,
    /// What is read already, in bytes.
    at: usize,
    begun: bool,
    /// A set, not a list: an authentic body may still hold a hundred thousand unknown keys.
    unknown: HashSet<Cow<'a, [u8]>>,
}

impl<'a> Members<'a> {
    pub(super) fn new(json: &'a str) -> Option<Self> {
        let mut members = Self { json, at: 0, begun: false, unknown: HashSet::new() };
        members.take(b'{')?;
        Some(members)
    }

    /// The key of the next member, unescaped: as bytes, for it may hold lone surrogates. `Some(None)` at the end of the text.
    pub(super) fn next_key(&mut self) -> Option<Option<Cow<'a, [u8]>>> {
        match self.peek()? {
            b'}' => {
                self.at += 1;
                return if self.peek().is_none() { Some(None) } else { None };
            }
            b',' if self.begun => self.at += 1,
            _ if !self.begun => self.begun = true,
            _ => return None,
        }
        let key = match self.plain_string() {
            Some(key) => Cow::Borrowed(key.as_bytes()),
            None => {
                let key = serde_json::Deserializer::from_str(self.raw_value()?).deserialize_bytes(Unescaped);
                Cow::Owned(key.ok()?)
            }
        };
        self.take(b':')?;
        Some(Some(key))
    }

    /// The value of the member whose key was read, a string: in the text where it holds no escape.
    pub(super) fn string(&mut self) -> Option<Cow<'a, str>> {
        match self.plain_string() {
            Some(text) => Some(Cow::Borrowed(text)),
            None => self.value().map(Cow::Owned),
        }
    }

    /// The value of the member whose key was read, as it stands in the text.
    pub(super) fn raw_value(&mut self) -> Option<&'a str> {
        self.typed_value::<IgnoredAny>().map(|(json, _)| json)
    }

    /// The value of the member whose key was read, as it stands in the text and decoded; reads nothing where it does not decode. For types that hand
    /// every error on: behind one that is swallowed, the value's end is not where it is taken to be.
    pub(super) fn typed_value<T: Deserialize<'a>>(&mut self) -> Option<(&'a str, T)> {
        self.skip_space();
        let start = self.at;
        let value = self.value()?;
        Some((&self.json[start..self.at], value))
    }

    /// Skips the member whose key was read; `None` also if it was skipped before.
    pub(super) fn skip_unknown(&mut self, key: Cow<'a, [u8]>) -> Option<()> {
        self.raw_value()?;
        if self.unknown.insert(key) { Some(()) } else { None }
    }

    fn value<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let mut values = serde_json::Deserializer::from_str(&self.json[self.at..]).into_iter();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }

    /// A string without escapes; reads nothing if the next thing is something else.
    #[inline(always)] // As is `peek`: a twentieth of an envelope's time.
    fn plain_string(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let start = self.at + 1;
        let bytes = self.json.as_bytes();
        let length = bytes[start..].iter().position(|byte| ENDS_PLAIN[usize::from(*byte)])?;
        let end = start + length;
        if bytes[end] != b'"' {
            return None;
        }
        self.at = end + 1;
        Some(&self.json[start..end])
    }

    /// Reads this byte; nothing if the next one is another.
    fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// The next byte that is no white space.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.json.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.json.as_bytes().get(self.at).is_some_and(|byte| is_space(*byte)) {
            self.at += 1;
        }
    }
}

/// What ends a string, or begins an escape, or may not stand in a string. Looked up, the strings of an envelope take 4 % less of its time than compared.
const ENDS_PLAIN: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    ends[b'"' as usize] = true;
    ends[b'\\' as usize] = true;
    ends
};

/// JSON's white space.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

struct Unescaped;

impl Visitor<'_> for Unescaped {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Vec<u8>, E> {
        Ok(key.to_vec())
    }
}
