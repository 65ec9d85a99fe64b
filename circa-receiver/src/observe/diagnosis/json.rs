//! A body's JSON, written in another form: other white space, another order of keys, other escapes.
//! Numbers stay as they are.

use std::{borrow::Cow, fmt::Write as _};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The documented keys of both senders' bodies in the order in which their documentation shows them
/// (Circa documentation, Webhooks; Circularo documentation, Webhooks).
const DOCUMENTED_KEYS: [&str; 20] = [
    "id",
    "type",
    "created",
    "livemode",
    "teamId",
    "data",
    "unit",
    "materialId",
    "processId",
    "propertyIds",
    "referenceProductIds",
    "characterizationFactorIds",
    "materialIds",
    "revealedCount",
    "userId",
    "creditsDebited",
    "documentId",
    "event",
    "actor",
    "timestamp",
];

/// A JSON document.
pub(super) enum Json<'a> {
    Array(Vec<Json<'a>>),
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    /// As it stands in the text, quotes included.
    String(&'a str),
    /// A number, `true`, `false` or `null`, as it stands in the text.
    Other(&'a str),
}

/// How a document is written.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) order: Order,
    pub(super) spacing: Spacing,
    pub(super) escapes: Escapes,
}

/// The order of keys.
#[derive(Clone, Copy)]
pub(super) enum Order {
    AsIs,
    /// As the sender's documentation shows them; what it does not show comes last.
    Documented,
    Sorted,
}

/// The white space between tokens.
#[derive(Clone, Copy)]
pub(super) enum Spacing {
    Compact,
    /// One space behind each comma and colon.
    AfterSeparators,
    /// A line for each value, two spaces a level.
    Indented,
}

/// The escapes in strings.
#[derive(Clone, Copy)]
pub(super) enum Escapes {
    AsIs,
    /// Only those that JSON demands.
    None,
    /// Those, and every character that is not ASCII.
    NonAscii,
}

impl<'a> Json<'a> {
    /// A whole body, where it is JSON.
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        Self::read(serde_json::from_slice::<&RawValue>(body).ok()?)
    }

    fn read(raw: &'a RawValue) -> Option<Self> {
        let text = raw.get();
        Some(match text.as_bytes().first()? {
            b'{' => {
                let members = serde_json::from_str::<Members<'a>>(text).ok()?.0.into_iter();
                let members = members.map(|(key, value)| Some((key, Self::read(value)?)));
                Self::Object(members.collect::<Option<_>>()?)
            }
            b'[' => {
                let values = serde_json::from_str::<Vec<&RawValue>>(text).ok()?.into_iter();
                Self::Array(values.map(Self::read).collect::<Option<_>>()?)
            }
            b'"' => Self::String(text),
            _ => Self::Other(text),
        })
    }

    /// The document in this style.
    pub(super) fn written(&self, style: Style) -> Vec<u8> {
        let mut text = String::new();
        self.write(style, 1, &mut text);
        text.into_bytes()
    }

    fn write(&self, style: Style, level: usize, text: &mut String) {
        match self {
            Self::Array(values) => {
                text.push('[');
                for (at, value) in values.iter().enumerate() {
                    style.spacing.separate(at, level, text);
                    value.write(style, level + 1, text);
                }
                style.spacing.close(values.is_empty(), level, text);
                text.push(']');
            }
            Self::Object(members) => {
                text.push('{');
                for (at, (key, value)) in style.order.of(members).into_iter().enumerate() {
                    style.spacing.separate(at, level, text);
                    let escapes = if let Escapes::NonAscii = style.escapes { Escapes::NonAscii } else { Escapes::None };
                    escapes.write(&quoted(key), text);
                    text.push_str(if let Spacing::Compact = style.spacing { ":" } else { ": " });
                    value.write(style, level + 1, text);
                }
                style.spacing.close(members.is_empty(), level, text);
                text.push('}');
            }
            Self::String(raw) => style.escapes.write(raw, text),
            Self::Other(raw) => text.push_str(raw),
        }
    }
}

impl Order {
    fn of<'m, 'a>(self, members: &'m [(Cow<'a, str>, Json<'a>)]) -> Vec<&'m (Cow<'a, str>, Json<'a>)> {
        let mut members: Vec<_> = members.iter().collect();
        let documented = |key: &str| DOCUMENTED_KEYS.iter().position(|known| *known == key).unwrap_or(usize::MAX);
        match self {
            Self::AsIs => {}
            Self::Documented => members.sort_by_key(|(key, _)| documented(key)),
            Self::Sorted => members.sort_by(|(a, _), (b, _)| a.cmp(b)),
        }
        members
    }
}

impl Spacing {
    /// What stands before the value at this place.
    fn separate(self, at: usize, level: usize, text: &mut String) {
        if at > 0 {
            text.push(',');
        }
        match self {
            Self::AfterSeparators if at > 0 => text.push(' '),
            Self::Indented => line(level, text),
            Self::Compact | Self::AfterSeparators => {}
        }
    }

    /// What stands before the closing bracket.
    fn close(self, is_empty: bool, level: usize, text: &mut String) {
        if let (Self::Indented, false) = (self, is_empty) {
            line(level - 1, text);
        }
    }
}

fn line(level: usize, text: &mut String) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", level));
}

impl Escapes {
    /// Writes a string that stands so in a text. One that holds lone surrogates stays as it is.
    fn write(self, raw: &str, text: &mut String) {
        let unescaped = match self {
            Self::AsIs => None,
            Self::None | Self::NonAscii => serde_json::from_str::<Cow<'_, str>>(raw).ok(),
        };
        let Some(unescaped) = unescaped else { return text.push_str(raw) };
        for character in quoted(&unescaped).chars() {
            if character.is_ascii() || matches!(self, Self::None) {
                text.push(character);
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
}

/// A string as JSON, with the escapes that JSON demands.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((Cow::Owned(key), value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_in_every_style() {
        let body = r#"{ "type":"é\u00e9/\"", "data":{}, "id":[1.50,1e400,null] }"#;
        let json = Json::parse(body.as_bytes()).expect("JSON");
        let cases = [
            (Order::AsIs, Spacing::Compact, Escapes::AsIs, r#"{"type":"é\u00e9/\"","data":{},"id":[1.50,1e400,null]}"#),
            (Order::Sorted, Spacing::Compact, Escapes::None, r#"{"data":{},"id":[1.50,1e400,null],"type":"éé/\""}"#),
            (
                Order::Documented,
                Spacing::AfterSeparators,
                Escapes::NonAscii,
                r#"{"id": [1.50, 1e400, null], "type": "\u00e9\u00e9/\"", "data": {}}"#,
            ),
            (
                Order::Documented,
                Spacing::Indented,
                Escapes::None,
                "{\n  \"id\": [\n    1.50,\n    1e400,\n    null\n  ],\n  \"type\": \"éé/\\\"\",\n  \"data\": {}\n}",
            ),
        ];
        for (order, spacing, escapes, expected) in cases {
            let written = json.written(Style { order, spacing, escapes });
            assert_eq!(String::from_utf8(written).expect("UTF-8"), expected);
        }
    }
}
