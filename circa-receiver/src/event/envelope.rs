//! The envelope: from an authentic body to an [`AnyEvent`] (contract, section 5).
//!
//! 1. UTF-8 throughout, no BOM, nesting at most 128;
//! 2. one JSON object and nothing after it, its keys without duplicates (compared after
//!    unescaping);
//! 3. what identifies and routes must be right: id and type, Circularo's document;
//! 4. what does not is absent where it is not as documented;
//! 5. the unsigned headers agree with the signed body.
//!
//! `data` is checked for syntax only and kept as its bytes: what a typed decode would refuse
//! (`1e400`, lone surrogates) passes here.

use bytes::Bytes;
use bytestring::ByteString;
use sha2::{Digest, Sha256};

use super::any::{AnyEvent, Fields, Inner};
use super::object::Object;
use crate::answer::{PayloadFault, Rejection};
use crate::sender::Envelope;
use crate::verify::{Field, Verified, hex};

/// Objects and arrays within each other, the body itself counted. `data` is one level less deep: as
/// deep as `serde_json` decodes.
const MAX_NESTING: usize = 128;
const MAX_ID_BYTES: usize = 255;
const MAX_TYPE_BYTES: usize = 128;
const MAX_LABEL_CHARS: usize = 64;

impl<'h, B: Into<Bytes>> Verified<'h, B> {
    /// Parses the envelope, and compares the unsigned headers with it.
    ///
    /// # Errors
    ///
    /// [`Rejection::MalformedPayload`] and [`Rejection::HeaderBodyMismatch`].
    pub fn event(self) -> Result<AnyEvent, Rejection> {
        parse(&self.into_bytes(), false)
    }
}

/// Parses an authentic body. `needs_livemode` refuses a Circa envelope without a boolean
/// `livemode`.
pub(crate) fn parse(verified: &Verified<'_, Bytes>, needs_livemode: bool) -> Result<AnyEvent, Rejection> {
    let body = ByteString::try_from(verified.body.clone()).map_err(|_| PayloadFault::NOT_UTF_8)?;
    if exceeds_nesting(body.as_bytes()) {
        return Err(PayloadFault::TOO_DEEP.into());
    }
    let object: Object<'_> = serde_json::from_str(&body).map_err(|_| PayloadFault::NOT_ONE_OBJECT)?;
    if object.has_duplicates() {
        return Err(PayloadFault::DUPLICATE_KEY.into());
    }
    let envelope = EnvelopeText { body: &body, object };
    let fields = match verified.sender.spec().envelope {
        Envelope::Circa => envelope.circa(needs_livemode)?,
        Envelope::Circularo => envelope.circularo()?,
    };
    let event = event(verified, fields);
    let unsigned = &verified.unsigned;
    if !unsigned.event_id.agrees_with(event.id()) || !unsigned.event_type.agrees_with(event.event_type()) {
        return Err(Rejection::HeaderBodyMismatch);
    }
    Ok(event)
}

/// An authentic delivery whose envelope cannot be understood, as an event for the dead letters. Its
/// id and type hold parentheses and a space, which no genuine id or type may hold.
#[cfg_attr(not(feature = "receiver"), allow(dead_code))]
pub(crate) fn unreadable(verified: &Verified<'_, Bytes>, fault: PayloadFault) -> AnyEvent {
    let fields = Fields {
        id: format!("(unreadable) {}", digest(&verified.body)).into(),
        event_type: ByteString::from_static("(unreadable)"),
        fault: Some(fault),
        ..Fields::default()
    };
    event(verified, fields)
}

fn event(verified: &Verified<'_, Bytes>, fields: Fields) -> AnyEvent {
    let webhook_id = match verified.unsigned.webhook_id {
        Field::One(value) => Some(label(value)),
        Field::Absent | Field::Repeated => None,
    };
    AnyEvent::new(Inner {
        sender: verified.sender,
        secret: verified.secret.clone(),
        signed_at: verified.signed_at,
        webhook_id,
        body: verified.body.clone(),
        fields,
    })
}

/// An unsigned header made harmless for logs: control and non-ASCII characters escaped, cut
/// (contract, section 6).
fn label(value: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(value);
    text.chars().flat_map(char::escape_default).take(MAX_LABEL_CHARS).collect()
}

/// A body and its members.
struct EnvelopeText<'a> {
    body: &'a ByteString,
    object: Object<'a>,
}

impl EnvelopeText<'_> {
    fn circa(&self, needs_livemode: bool) -> Result<Fields, PayloadFault> {
        let id = self.required("id", is_event_id, PayloadFault::NO_ID, PayloadFault::BAD_ID)?;
        let event_type = self.required("type", is_event_type, PayloadFault::NO_TYPE, PayloadFault::BAD_TYPE)?;
        let created = self.object.get("created").and_then(integer);
        let livemode = self.object.get("livemode").and_then(|json| json.parse().ok());
        let team_id = self.object.get("teamId").and_then(|json| self.text(json));
        if needs_livemode && livemode.is_none() {
            return Err(PayloadFault::NO_LIVEMODE);
        }
        let payload = self.json("data");
        Ok(Fields { id, event_type, payload, created, livemode, team_id, ..Fields::default() })
    }

    fn circularo(&self) -> Result<Fields, PayloadFault> {
        let event_type = self.required("event", is_event_type, PayloadFault::NO_EVENT, PayloadFault::BAD_EVENT)?;
        let is_given = |text: &str| !text.is_empty();
        let document_id =
            self.required("documentId", is_given, PayloadFault::NO_DOCUMENT, PayloadFault::BAD_DOCUMENT)?;
        Ok(Fields {
            id: digest(self.body.as_bytes()).into(),
            event_type,
            payload: Some(self.body.clone()),
            document_id: Some(document_id),
            actor: self.json("actor"),
            timestamp: self.json("timestamp"),
            ..Fields::default()
        })
    }

    /// The string under a name; or the fault, where it is missing or not right.
    fn required(
        &self,
        name: &str,
        is_right: fn(&str) -> bool,
        missing: PayloadFault,
        wrong: PayloadFault,
    ) -> Result<ByteString, PayloadFault> {
        let json = self.object.get(name).ok_or(missing)?;
        self.text(json).filter(|text| is_right(text)).ok_or(wrong)
    }

    /// What a JSON string says; `None` where it is none, or holds a lone surrogate, which is no
    /// text.
    fn text(&self, json: &str) -> Option<ByteString> {
        let plain = json.strip_prefix('"')?.strip_suffix('"')?;
        if plain.contains('\\') {
            return serde_json::from_str::<String>(json).ok().map(ByteString::from);
        }
        Some(self.body.slice_ref(plain))
    }

    /// The value under a name, as it stands in the body.
    fn json(&self, name: &str) -> Option<ByteString> {
        self.object.get(name).map(|json| self.body.slice_ref(json))
    }
}

fn is_event_id(text: &str) -> bool {
    (1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

pub(crate) fn is_event_type(text: &str) -> bool {
    (1..=MAX_TYPE_BYTES).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// A JSON number that is an integer, also where it is written as `1747000800.0` or `1.7470008e9`.
fn integer(json: &str) -> Option<i64> {
    /// Below it every integer has a `f64` of its own; the integer above it is rounded to it.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !json.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    json.parse().ok().or_else(|| {
        let float: f64 = json.parse().ok()?;
        (float.fract() == 0.0 && float.abs() < EXACT).then_some(float as i64)
    })
}

/// The SHA-256 of a body, in hex.
fn digest(body: &[u8]) -> String {
    hex::encode(Sha256::digest(body).into())
}

/// Whether objects and arrays stand more than [`MAX_NESTING`] deep in each other. Must not recurse.
fn exceeds_nesting(json: &[u8]) -> bool {
    // Few events hold that many brackets at all. Counting them takes a twentieth of the time of
    // following them, which would be 9 % of a delivery of 4 KiB.
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

/// Counts in bytes, chunk by chunk, which the compiler turns into vector instructions.
fn opening_brackets(json: &[u8]) -> usize {
    let in_chunk = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(matches!(byte, b'{' | b'['))).sum::<u8>();
    json.chunks(usize::from(u8::MAX)).map(|chunk| usize::from(in_chunk(chunk))).sum()
}
