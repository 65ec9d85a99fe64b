//! Circularo's `actor` and `timestamp`: documented by name only, so kept as they came, with typed
//! accessors.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::value::RawValue;

/// From here on a number counts milliseconds: as seconds it would lie beyond the year 5000, as
/// milliseconds in 1973.
const MILLIS_FROM: f64 = 1e11;

/// A JSON string, or the digits of a JSON number.
#[derive(Clone, Eq, Hash, PartialEq)]
pub(super) enum Scalar {
    String(Box<str>),
    Number(Box<str>),
}

impl Scalar {
    fn as_str(&self) -> &str {
        match self {
            Self::String(text) | Self::Number(text) => text,
        }
    }

    /// `None` for JSON that is neither a string nor a number, and for a string that is not Unicode
    /// (a lone surrogate).
    fn read(json: &str) -> Option<Self> {
        match json.as_bytes() {
            [b'"', ..] => serde_json::from_str(json).ok().map(Self::String),
            [b'-' | b'0'..=b'9', ..] => Some(Self::Number(json.into())),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        Self::read(json).ok_or_else(|| D::Error::custom("neither a string nor a number"))
    }
}

impl Serialize for Scalar {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::String(text) => serializer.serialize_str(text),
            Self::Number(digits) => {
                RawValue::from_string(digits.to_string()).map_err(S::Error::custom)?.serialize(serializer)
            }
        }
    }
}

/// For a field of undocumented form: absent where it is null or of a form that is not known.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: From<Scalar>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let json = Option::<&RawValue>::deserialize(deserializer)?;
    Ok(json.and_then(|json| Scalar::read(json.get())).map(T::from))
}

/// Who did it: a user name, an e-mail address or an id. Opaque. Deserializes from JSON text only.
#[derive(Clone, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Actor(Scalar);

impl From<Scalar> for Actor {
    fn from(scalar: Scalar) -> Self {
        Self(scalar)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Actor {
    pub(super) fn read(json: &str) -> Option<Self> {
        Scalar::read(json).map(Self)
    }

    /// The actor as text; a number as its digits.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// When it happened. The form is not documented: ISO 8601 as in the vendor's other dates, or a
/// number. Deserializes from JSON text only.
#[derive(Clone, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Timestamp(Scalar);

impl From<Scalar> for Timestamp {
    fn from(scalar: Scalar) -> Self {
        Self(scalar)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Timestamp {
    pub(super) fn read(json: &str) -> Option<Self> {
        Scalar::read(json).map(Self)
    }

    /// The timestamp as it came; a number as its digits.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Milliseconds since 1970-01-01T00:00:00Z, if the timestamp is ISO 8601 with an offset, or a
    /// number: of seconds below 10^11, of milliseconds from there on (our reading; Circularo
    /// documents neither).
    pub fn unix_millis(&self) -> Option<i64> {
        match &self.0 {
            Scalar::String(text) => Some(text.parse::<jiff::Timestamp>().ok()?.as_millisecond()),
            Scalar::Number(digits) => {
                let number: f64 = digits.parse().ok()?;
                let millis = if number.abs() < MILLIS_FROM { number * 1_000.0 } else { number };
                (millis.abs() < i64::MAX as f64).then_some(millis.round() as i64)
            }
        }
    }

    /// The timestamp as a point in time; also `None` where the platform cannot express it.
    pub fn system_time(&self) -> Option<SystemTime> {
        at_unix_millis(self.unix_millis()?)
    }
}

/// A point in time; `None` where the platform cannot express it.
pub(super) fn at_unix_millis(millis: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { SystemTime::UNIX_EPOCH.checked_sub(distance) } else { SystemTime::UNIX_EPOCH.checked_add(distance) }
}

// `Debug` shows no free text of a body: an actor is a person's name or address.
impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Actor").finish_non_exhaustive()
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unix_millis() {
            Some(millis) => f.debug_tuple("Timestamp").field(&millis).finish(),
            None => f.debug_struct("Timestamp").finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps() {
        let cases = [
            (r#""2024-06-01T13:10:10.500Z""#, Some(1_717_247_410_500)),
            (r#""2024-06-01T15:10:10.5+02:00""#, Some(1_717_247_410_500)),
            (r#""2024-06-01T13:10:10""#, None),
            (r#""yesterday""#, None),
            ("1717247410", Some(1_717_247_410_000)),
            ("1717247410.5", Some(1_717_247_410_500)),
            ("1717247410500", Some(1_717_247_410_500)),
            ("-1", Some(-1_000)),
            ("1e400", None),
        ];
        for (json, millis) in cases {
            let timestamp: Timestamp = serde_json::from_str(json).expect("a scalar");
            assert_eq!(timestamp.unix_millis(), millis, "{json}");
            assert_eq!(timestamp.system_time().is_some(), millis.is_some(), "{json}");
        }
    }
}
