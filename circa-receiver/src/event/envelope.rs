//! The envelope: from an authentic body to an [`AnyEvent`].
//!
//! 1. UTF-8 throughout, no BOM, nesting at most 128;
//! 2. one JSON object and nothing after it, its keys without duplicates (compared after unescaping);
//! 3. the known fields of their types; unknown fields are kept in the body, never an error;
//! 4. the unsigned headers agree with the signed body.
//!
//! `data` is checked for syntax only and kept as its bytes: what a typed decode would refuse (`1e400`, lone surrogates) passes here. Where a handler
//! wants it as [`DatapointPulled`], it is decoded on the way.

use std::{
    borrow::Cow,
    ops::Range,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use bytestring::ByteString;
use sha2::{Digest, Sha256};

use super::any::{AnyEvent, EventData, Fields, Inner, Label, Text, all};
use super::circa::DatapointPulled;
use super::members::Members;
use crate::answer::Rejection;
use crate::sender::Envelope;
use crate::verify::Field;
use crate::verify::Verified;
use crate::verify::hex;

/// Objects and arrays within each other, the body itself counted. `data` is one level less deep: as deep as `serde_json` decodes.
const MAX_NESTING: usize = 128;
const MAX_ID_BYTES: usize = 255;
const MAX_TYPE_BYTES: usize = 128;

/// What is asked of an envelope beside what every one must hold.
#[derive(Clone, Copy, Default)]
pub(crate) struct Wanted {
    /// A Circa envelope without `livemode` is refused.
    pub(crate) livemode: bool,
    /// A handler takes [`DatapointPulled`]: it is decoded with the envelope, so that the data is read once.
    pub(crate) pulled: bool,
}

impl<B> Verified<'_, B> {
    /// Parses the envelope, and compares the unsigned headers with it.
    ///
    /// # Errors
    ///
    /// [`Rejection::MalformedPayload`] and [`Rejection::HeaderBodyMismatch`].
    pub fn event(self) -> Result<AnyEvent, Rejection>
    where
        B: Into<Bytes>,
    {
        parse(self, Wanted::default())
    }
}

/// Parses an authentic body.
pub(crate) fn parse<B: Into<Bytes>>(verified: Verified<'_, B>, wanted: Wanted) -> Result<AnyEvent, Rejection> {
    let Verified { sender, body, secret, signed_at, unsigned } = verified;
    let body = ByteString::try_from(body.into()).map_err(|_| Rejection::MalformedPayload)?;
    let webhook_id = match unsigned.webhook_id {
        Field::One(value) => Some(Label::new(value)),
        Field::Absent | Field::Repeated => None,
    };
    if exceeds_nesting(body.as_bytes()) {
        return Err(Rejection::MalformedPayload);
    }
    let parsed = match sender.spec().envelope {
        Envelope::Circa => circa(&body, wanted),
        Envelope::Circularo => circularo(&body),
    };
    let Parsed { id, event_type, fields, pulled } = parsed.ok_or(Rejection::MalformedPayload)?;
    let pulled = Mutex::new(pulled);
    let event =
        AnyEvent(Arc::new(Inner { sender, secret, signed_at, webhook_id, body, id, event_type, fields, pulled }));
    if !unsigned.event_id.agrees_with(|| event.id()) || !unsigned.event_type.agrees_with(|| event.event_type()) {
        return Err(Rejection::HeaderBodyMismatch);
    }
    Ok(event)
}

/// What a body holds.
struct Parsed {
    id: Text,
    event_type: Text,
    fields: Fields,
    pulled: Option<DatapointPulled>,
}

fn circa(body: &str, wanted: Wanted) -> Option<Parsed> {
    let (mut id, mut event_type, mut team_id) = (None, None, None);
    let (mut created, mut livemode, mut data) = (None, None, None);
    let mut pulled = None;
    let mut members = Members::new(body)?;
    while let Some(key) = members.next_key()? {
        match &*key {
            b"id" => set(&mut id, members.string()?)?,
            b"type" => set(&mut event_type, members.string()?)?,
            b"teamId" => set(&mut team_id, members.string()?)?,
            b"created" => set(&mut created, members.raw_value()?)?,
            b"livemode" => set(&mut livemode, members.raw_value()?)?,
            b"data" => {
                // Circa sends the type first. What does not decode is kept as text, and its handler's failure.
                let is_pulled = wanted.pulled && event_type.as_deref() == Some(DatapointPulled::TYPE);
                let at_once = if is_pulled { members.typed_value() } else { None };
                let json = match at_once {
                    Some((json, decoded)) => {
                        pulled = Some(decoded);
                        json
                    }
                    None => members.raw_value()?,
                };
                set(&mut data, json)?;
            }
            _ => members.skip_unknown(key)?,
        }
    }
    let is_id = |id: &str| (1..=MAX_ID_BYTES).contains(&id.len()) && all(id, |byte| byte.is_ascii_graphic());
    if wanted.livemode && livemode.is_none() {
        return None;
    }
    let fields = Fields::Circa {
        created: optional(created, |json| if is_integer(json) { json.parse().ok() } else { None })?,
        livemode: optional(livemode, |json| json.parse().ok())?,
        team_id: team_id.map(|text| text_in(body, text)),
        data: data.map(|json| range_in(body, json)),
    };
    let id = text_in(body, id.filter(|id| is_id(id))?);
    let event_type = text_in(body, event_type.filter(|event_type| is_event_type(event_type))?);
    Some(Parsed { id, event_type, fields, pulled })
}

fn circularo(body: &str) -> Option<Parsed> {
    let (mut event_type, mut document_id, mut actor, mut timestamp) = (None, None, None, None);
    let mut members = Members::new(body)?;
    while let Some(key) = members.next_key()? {
        match &*key {
            b"event" => set(&mut event_type, members.string()?)?,
            b"documentId" => set(&mut document_id, members.string()?)?,
            b"actor" => set(&mut actor, members.raw_value()?)?,
            b"timestamp" => set(&mut timestamp, members.raw_value()?)?,
            _ => members.skip_unknown(key)?,
        }
    }
    let scalar = |json: &str| match json.as_bytes() {
        [b'"' | b'-' | b'0'..=b'9', ..] => Some(Some(range_in(body, json))),
        b"null" => Some(None),
        _ => None,
    };
    let fields = Fields::Circularo {
        document_id: text_in(body, document_id.filter(|text| !text.is_empty())?),
        actor: optional(actor, scalar)?.flatten(),
        timestamp: optional(timestamp, scalar)?.flatten(),
    };
    let id = Text::Unescaped(hex::encode(Sha256::digest(body).into()).into());
    let event_type = text_in(body, event_type.filter(|event_type| is_event_type(event_type))?);
    Some(Parsed { id, event_type, fields, pulled: None })
}

/// Sets a field; `None` if it stands there twice.
fn set<T>(field: &mut Option<T>, value: T) -> Option<()> {
    if field.replace(value).is_none() { Some(()) } else { None }
}

/// Absent is `Some(None)`; present is what `read` makes of it; present and not readable is `None`.
fn optional<'a, T>(json: Option<&'a str>, read: impl FnOnce(&'a str) -> Option<T>) -> Option<Option<T>> {
    match json {
        None => Some(None),
        Some(json) => read(json).map(Some),
    }
}

pub(crate) fn is_event_type(text: &str) -> bool {
    (1..=MAX_TYPE_BYTES).contains(&text.len())
        && all(text, |byte| byte.is_ascii_alphanumeric() | matches!(byte, b'_' | b'.' | b'-'))
}

/// A JSON number without fraction and exponent.
fn is_integer(json: &str) -> bool {
    let digits = json.strip_prefix('-').unwrap_or(json);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Where `part` stands in the body that it is a part of.
fn range_in(body: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - body.as_ptr() as usize;
    start..start + part.len()
}

/// A string of the body; what is owned held an escape.
fn text_in(body: &str, text: Cow<'_, str>) -> Text {
    match text {
        Cow::Borrowed(text) => Text::InBody(range_in(body, text)),
        Cow::Owned(text) => Text::Unescaped(text.into()),
    }
}

/// Whether objects and arrays stand more than [`MAX_NESTING`] deep in each other. Must not recurse.
fn exceeds_nesting(json: &[u8]) -> bool {
    // Few events hold that many brackets at all, and counting them is many times as fast as following them.
    if opening_brackets(json) <= MAX_NESTING {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Counts in bytes, chunk by chunk, so that the compiler does many at once: 4 KiB take 0.1 us, and 2.2 us counted in words.
fn opening_brackets(json: &[u8]) -> usize {
    let in_chunk = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(matches!(byte, b'{' | b'['))).sum::<u8>();
    json.chunks(usize::from(u8::MAX)).map(|chunk| usize::from(in_chunk(chunk))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::sender::Sender;
    use crate::verify::UnsignedFields;

    fn event(body: &str, pulled: bool) -> Result<AnyEvent, Rejection> {
        let verified = Verified {
            sender: Sender::CIRCA,
            body: body.to_owned(),
            secret: None,
            signed_at: None,
            unsigned: UnsignedFields::default(),
        };
        parse(verified, Wanted { livemode: false, pulled })
    }

    /// All that an event tells.
    fn told(event: &AnyEvent) -> impl PartialEq + std::fmt::Debug {
        let fields = (event.id(), event.event_type(), event.team_id(), event.created(), event.livemode());
        let fields =
            format!("{fields:?} {:?}", event.raw_data().map(<[u8]>::escape_ascii).map(|data| data.to_string()));
        (
            fields,
            Event::<DatapointPulled>::try_from(event.clone()).map(Event::into_data).map_err(|error| error.to_string()),
        )
    }

    const FORMS: [&str; 5] = [
        r#"{"unit":"property","materialId":"m","propertyIds":["p","\u0071"],"userId":"u"}"#,
        r#"{"processId":"p","unit":"process","referenceProductIds":[],"revealedCount":2}"#,
        r#"{"unit":"impact","processId":"p","characterizationFactorIds":["m,p"],"é":{"a":[1e400]}}"#,
        r#"{"materialIds":["m"],"creditsDebited":null}"#,
        r#"{"unit":"rocket","x":[{}]}"#,
    ];

    /// Decoded with the envelope where the type stands in front, else when it is asked for; once either way, and no less the second time.
    #[test]
    fn pulls_are_decoded_with_the_envelope() {
        for data in FORMS {
            let first = format!(r#"{{"id":"e","type":"datapoint.pulled","data": {data} }}"#);
            let last = format!(r#"{{"id":"e","data":{data},"type":"datapoint.pulled"}}"#);
            for (body, wanted, at_once) in [(&first, true, true), (&first, false, false), (&last, true, false)] {
                let event = event(body, wanted).expect(body);
                assert_eq!(event.0.pulled.lock().expect("nobody panicked").is_some(), at_once, "{body}");
                let decoded = event.decode::<DatapointPulled>().expect(body);
                for _ in 0..2 {
                    let taken = Event::<DatapointPulled>::try_from(event.clone()).expect(body);
                    assert_eq!((taken.data(), taken.raw_data()), (&decoded, Some(data.as_bytes())), "{body}");
                }
                assert!(event.0.pulled.lock().expect("nobody panicked").is_none(), "{body}");
            }
        }
    }

    /// Whatever is put into a body, or taken out of it, wherever: the same bodies are refused, and the same is made of the others.
    #[test]
    fn decoding_with_the_envelope_changes_nothing() {
        let pieces =
            ["", "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\n", "\u{1}", "é", "1", "null", "\"a\":1,", "\\ud800"];
        let mut read = 0;
        for data in FORMS {
            let body = format!(r#"{{"id":"e","type":"datapoint.pulled","data":{data},"livemode":true}}"#);
            let characters: Vec<char> = body.chars().collect();
            for at in 0..=characters.len() {
                for taken in 0..=usize::from(at < characters.len()) {
                    for piece in pieces {
                        let (before, after) = (&characters[..at], &characters[at + taken..]);
                        let body: String =
                            before.iter().copied().chain(piece.chars()).chain(after.iter().copied()).collect();
                        let [at_once, later] = [true, false].map(|pulled| event(&body, pulled));
                        read += usize::from(later.is_ok());
                        assert_eq!(at_once.as_ref().map(told), later.as_ref().map(told), "{body}");
                    }
                }
            }
        }
        assert!(read > 1_000, "only {read} bodies were read at all");
    }
}
