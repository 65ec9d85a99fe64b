//! A list of ids, kept as one text.

use std::{borrow::Cow, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};

/// Opaque ids, up to 500 in one event (Circa documentation, Webhooks).
///
/// Kept as one text with the places where it is divided: a string for each of up to 500 ids took a
/// quarter of a delivery's time at 4 KiB.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Ids {
    text: String,
    /// Where each id ends in the text.
    ends: Vec<usize>,
}

impl Ids {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// One by its place, from 0.
    pub fn get(&self, place: usize) -> Option<&str> {
        let end = *self.ends.get(place)?;
        let begin = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[begin..end])
    }

    /// All, in the order in which they stand in the event.
    pub fn iter(&self) -> Iter<'_> {
        Iter { ids: self, places: 0..self.len() }
    }
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl Serialize for Ids {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// The ids of a list, in the order in which they stand in the event: made by [`Ids::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    ids: &'a Ids,
    places: Range<usize>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.places.next().and_then(|place| self.ids.get(place))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Ids {
    type Item = &'a str;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;

        impl<'de> Visitor<'de> for List {
            type Value = Ids;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of ids")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut ids: A) -> Result<Ids, A::Error> {
                let mut list = Ids::default();
                while let Some(Id(id)) = ids.next_element()? {
                    list.text.push_str(&id);
                    list.ends.push(list.text.len());
                }
                Ok(list)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// An id, borrowed unless it holds an escape.
#[derive(Deserialize)]
struct Id<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    /// Circa documentation, Webhooks: up to 500 ids, opaque; so also none, one, and empty ones.
    #[test]
    fn as_a_list_of_strings() {
        let many = vec!["18a58f02-1234-4d1e-9b21-000000000000"; 500];
        let lists: [&[&str]; 7] = [&[], &[""], &["a"], &["", ""], &["", "a", ""], &["a", "bc", "é\n"], &many];
        for list in lists {
            let json = serde_json::to_string(list).expect("strings are JSON");
            let ids: Ids = serde_json::from_str(&json).expect("a list of ids");
            assert_eq!(ids.iter().collect::<Vec<_>>(), list, "{json}");
            assert_eq!((ids.len(), ids.is_empty(), ids.get(list.len())), (list.len(), list.is_empty(), None), "{json}");
        }
        assert!(serde_json::from_str::<Ids>(r#"["a",1]"#).is_err());
    }
}
