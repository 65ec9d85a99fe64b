//! A list of ids, kept as one text.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, SeqAccess, Visitor},
};

/// Opaque ids, up to 500 in one event (Circa documentation, Webhooks).
///
/// Kept as one text with the ends of its parts: a string for each id took a quarter of a delivery's time at 4 KiB.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Ids {
    text: String,
    /// Where each id ends in the text, and the next one begins.
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
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }

    /// All, in the order in which they stand in the event.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|place| self.get(place))
    }
}

/// Shows how many there are: ids are the sender's data.
impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ids").field("len", &self.len()).finish_non_exhaustive()
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
                while ids.next_element_seed(Next(&mut list))?.is_some() {}
                Ok(list)
            }
        }

        deserializer.deserialize_seq(List)
    }
}

/// Reads one more id into a list.
struct Next<'l>(&'l mut Ids);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Next<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id")
    }

    fn visit_str<E>(self, id: &str) -> Result<(), E> {
        self.0.text.push_str(id);
        self.0.ends.push(self.0.text.len());
        Ok(())
    }
}
