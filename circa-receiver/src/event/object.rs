//! The members of a JSON object, in their order, each value as it stands in the text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor, value::MapDeserializer},
};
use serde_json::value::RawValue;

/// A JSON object, one level deep.
pub(super) struct Object<'a>(Vec<Member<'a>>);

struct Member<'a> {
    /// The key as it stands in the text, quotes included.
    key: &'a str,
    /// The key unescaped: as bytes, for it may hold lone surrogates.
    name: Cow<'a, [u8]>,
    value: &'a RawValue,
}

impl<'a> Object<'a> {
    /// For a type that is chosen by one of its members, within its own visitor: its errors then
    /// have a place in the text.
    pub(super) fn read<A: MapAccess<'a>>(mut map: A) -> Result<Self, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            let key = key.get();
            let name = unescape(key).ok_or_else(|| A::Error::custom("a key is no string"))?;
            members.push(Member { key, name, value });
        }
        Ok(Self(members))
    }

    /// The value under this name, as JSON; the first, where the name stands there more than once.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let member = self.0.iter().find(|member| *member.name == *name.as_bytes())?;
        Some(member.value.get())
    }

    /// Whether two keys are the same after unescaping.
    pub(super) fn has_duplicates(&self) -> bool {
        let mut names: Vec<&[u8]> = self.0.iter().map(|member| &*member.name).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Whether a key is not Unicode.
    pub(super) fn has_foreign_keys(&self) -> bool {
        self.0.iter().any(|member| std::str::from_utf8(&member.name).is_err())
    }

    /// Decodes the members as a type with named fields. Keys are handed over as bytes: one that is
    /// not Unicode is then a field that the type does not know, where `serde_json` itself refuses
    /// it.
    pub(super) fn decode<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(MapDeserializer::new(self.0.iter().map(|member| (&*member.name, member.value))))
    }

    /// The object as JSON, without white space between its members.
    pub(super) fn to_json(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|member| [member.key, ":", member.value.get()].concat()).collect();
        ["{", &members.join(","), "}"].concat()
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<'de>, A::Error> {
        Object::read(map)
    }
}

/// What a JSON string says.
fn unescape(json: &str) -> Option<Cow<'_, [u8]>> {
    struct Bytes;

    impl<'de> Visitor<'de> for Bytes {
        type Value = Cow<'de, [u8]>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(bytes))
        }

        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            Ok(Cow::Owned(bytes.to_vec()))
        }
    }

    serde_json::Deserializer::from_str(json).deserialize_bytes(Bytes).ok()
}
