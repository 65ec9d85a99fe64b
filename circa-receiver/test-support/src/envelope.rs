//! An independent reading of the envelope by `serde_json::Value` (contract, section 5), for a
//! comparison with ours.

use std::fmt;

use circa_receiver::AnyEvent;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

/// The members of a body that is one JSON object, duplicates included.
pub(crate) struct Members(Vec<(String, Value)>);

/// What an envelope says.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    event_type: String,
    /// Circa's id, Circularo's document.
    id: String,
    created: Option<i64>,
    livemode: Option<bool>,
    team_id: Option<String>,
    data: Option<Value>,
    actor: Option<Value>,
    timestamp: Option<Value>,
}

impl Members {
    /// `None` where `Value` cannot read the body; it refuses more than the envelope does, such as
    /// `1e400`.
    pub(crate) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name)?.as_str().map(str::to_owned)
    }

    /// What the envelope of a sender says; `None` where it is malformed.
    pub(crate) fn reading(&self, is_circa: bool) -> Option<Reading> {
        let names: Vec<_> = self.0.iter().map(|(name, _)| name).collect();
        if names.iter().enumerate().any(|(at, name)| names[..at].contains(name)) {
            return None;
        }
        let is_type = |text: &String| {
            let is_part = |part: char| part.is_ascii_alphanumeric() || "_.-".contains(part);
            (1..=128).contains(&text.len()) && text.chars().all(is_part)
        };
        let (id, event_type) = if is_circa { ("id", "type") } else { ("documentId", "event") };
        let is_id = |text: &String| {
            let is_visible = text.len() <= 255 && text.bytes().all(|byte| (0x21..0x7f).contains(&byte));
            !text.is_empty() && (is_visible || !is_circa)
        };
        let of = |is_theirs: bool, name: &str| self.get(name).filter(|_| is_theirs).cloned();
        Some(Reading {
            id: self.text(id).filter(is_id)?,
            event_type: self.text(event_type).filter(is_type)?,
            created: of(is_circa, "created").as_ref().and_then(integer),
            livemode: of(is_circa, "livemode").and_then(|value| value.as_bool()),
            team_id: of(is_circa, "teamId").and_then(|value| value.as_str().map(str::to_owned)),
            data: of(is_circa, "data"),
            actor: of(!is_circa, "actor"),
            timestamp: of(!is_circa, "timestamp"),
        })
    }
}

/// An integral float is an integer. Only compared where `Value`, whose floats may be wrong in the
/// last place, is exact.
fn integer(value: &Value) -> Option<i64> {
    let float = || value.as_f64().filter(|float| float.trunc() == *float);
    let integer = value.as_i64().or_else(|| float().map(|float| float as i64));
    integer.filter(is_compared)
}

fn is_compared(integer: &i64) -> bool {
    integer.unsigned_abs() < 1 << 50
}

impl Reading {
    /// What our reading says.
    pub(crate) fn of(event: &AnyEvent) -> Self {
        let value = |json: &[u8]| serde_json::from_slice(json).expect("`Value` has read the whole body");
        Self {
            event_type: event.event_type().to_owned(),
            id: event.document_id().unwrap_or(event.id()).to_owned(),
            created: event.created().filter(is_compared),
            livemode: event.livemode(),
            team_id: event.team_id().map(str::to_owned),
            data: event.raw_data().map(value),
            actor: event.raw_actor().map(|json| value(json.as_bytes())),
            timestamp: event.raw_timestamp().map(|json| value(json.as_bytes())),
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;

        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(All)
    }
}
