//! The envelope: from an authentic body to an [`AnyEvent`].
//!
//! 1. UTF-8 throughout, no BOM, nesting at most 128;
//! 2. one JSON object and nothing after it, its keys without duplicates (compared after unescaping);
//! 3. the known fields of their types; unknown fields are kept in the body, never an error;
//! 4. the unsigned headers agree with the signed body.
//!
//! `data` is checked for syntax only and kept as its bytes: what a typed decode would refuse (`1e400`, lone surrogates) passes here. Where its handler's type is
//! known, it is decoded on the way.

use std::{borrow::Cow, ops::Range, sync::Arc};

use bytes::Bytes;
use bytestring::ByteString;
use sha2::{Digest, Sha256};

use super::{AnyEvent, Decode, Decoded, Fields, Inner, Label, Text, all, members::Members};
use crate::{Rejection, Verified, head::Field, hex, sender::Envelope};

/// Objects and arrays within each other, the body itself counted. `data` is one level less deep: as deep as `serde_json` decodes.
const MAX_NESTING: usize = 128;
const MAX_ID_BYTES: usize = 255;
const MAX_TYPE_BYTES: usize = 128;

/// Parses an authentic body. `livemode_required` refuses a Circa envelope without `livemode`; `decoder` tells how the data of an event type is decoded, if it
/// is to be decoded at once.
pub(crate) fn parse<B: Into<Bytes>>(
    verified: Verified<'_, B>,
    livemode_required: bool,
    decoder: impl Fn(&str) -> Option<Decode>,
) -> Result<AnyEvent, Rejection> {
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
        Envelope::Circa => circa(&body, livemode_required, decoder),
        Envelope::Circularo => circularo(&body),
    };
    let Parsed { id, event_type, fields, decoded } = parsed.ok_or(Rejection::MalformedPayload)?;
    let event =
        AnyEvent(Arc::new(Inner { sender, secret, signed_at, webhook_id, body, id, event_type, fields, decoded }));
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
    decoded: Decoded,
}

fn circa(body: &str, livemode_required: bool, decoder: impl Fn(&str) -> Option<Decode>) -> Option<Parsed> {
    let (mut id, mut event_type, mut team_id) = (None, None, None);
    let (mut created, mut livemode, mut data) = (None, None, None);
    let mut decoded = Decoded::default();
    let mut members = Members::new(body)?;
    while let Some(key) = members.next_key()? {
        match &*key {
            b"id" => set(&mut id, members.string()?)?,
            b"type" => set(&mut event_type, members.string()?)?,
            b"teamId" => set(&mut team_id, members.string()?)?,
            b"created" => set(&mut created, members.raw_value()?)?,
            b"livemode" => set(&mut livemode, members.raw_value()?)?,
            b"data" => {
                // Circa sends the type first; where it does not, the data is decoded when it is asked for.
                let at_once = event_type.as_deref().and_then(&decoder).and_then(|decode| members.decoded_value(decode));
                let json = match at_once {
                    Some((json, data)) => {
                        decoded = data;
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
    if livemode_required && livemode.is_none() {
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
    Some(Parsed { id, event_type, fields, decoded })
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
    Some(Parsed { id, event_type, fields, decoded: Decoded::default() })
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
