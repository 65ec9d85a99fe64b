//! The data of Circa's events (Circa documentation, Webhooks): `datapoint.pulled` in its three units, its older form, and
//! units not known yet; `webhook.test`.

use std::{collections::VecDeque, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::value::RawValue;

use super::ids::Ids;
use crate::event::EventData;
use crate::sender::Sender;

/// The data of `datapoint.pulled`: one event per successful API call, whatever the number of ids in it.
///
/// `data.unit` tells which kind; its absence, the older form. An unknown unit is data, not an error. Deserializes from JSON text only
/// (`serde_json::from_str`), as [`AnyEvent::decode`](crate::AnyEvent::decode) does.
#[non_exhaustive]
#[derive(Clone, Eq, PartialEq)]
pub enum DatapointPulled {
    /// `unit` is `"property"`.
    Property(PropertyPull),
    /// `unit` is `"process"`.
    Process(ProcessPull),
    /// `unit` is `"impact"`.
    Impact(ImpactPull),
    /// The older form, without `unit`.
    Material(MaterialPull),
    /// A unit that this version does not know.
    Unknown(UnknownPull),
}

impl EventData for DatapointPulled {
    const SENDER: Sender = Sender::CIRCA;
    const TYPE: &'static str = "datapoint.pulled";
}

impl DatapointPulled {
    /// The user whose call it was, if the event says so.
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::Property(pull) => pull.user_id(),
            Self::Process(pull) => pull.user_id(),
            Self::Impact(pull) => pull.user_id(),
            Self::Material(pull) => pull.user_id(),
            Self::Unknown(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for DatapointPulled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByUnit)
    }
}

/// Reads on in the form that the unit names, in one pass: the unit stands first in what Circa sends. What stands before it is kept as JSON text.
struct ByUnit;

impl<'de> Visitor<'de> for ByUnit {
    type Value = DatapointPulled;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DatapointPulled, A::Error> {
        let mut fields = Fields { read: VecDeque::new(), value: None, rest: map };
        let unit_field = fields.read_up_to("unit")?;
        match unit_field.map(|(_, unit)| unit.get()) {
            Some("\"property\"") => fields.into_pull().map(DatapointPulled::Property),
            Some("\"process\"") => fields.into_pull().map(DatapointPulled::Process),
            Some("\"impact\"") => fields.into_pull().map(DatapointPulled::Impact),
            None => fields.into_pull().map(DatapointPulled::Material),
            Some(name) => {
                let unit = serde_json::from_str(name).unwrap_or_else(|_| name.to_owned());
                fields.read.extend(unit_field);
                Ok(DatapointPulled::Unknown(UnknownPull { unit, json: fields.into_json()? }))
            }
        }
    }
}

/// A key and its value, as JSON text.
type Field<'de> = (&'de RawValue, &'de RawValue);

/// An object's fields: first those that were read already, then the rest.
struct Fields<'de, A> {
    read: VecDeque<Field<'de>>,
    /// The value of the key that was asked for last, where that was read already.
    value: Option<&'de RawValue>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> Fields<'de, A> {
    /// A field's key and value; everything before it is read. `None` where it is absent: null is a value too.
    fn read_up_to(&mut self, name: &str) -> Result<Option<Field<'de>>, A::Error> {
        while let Some((key, value)) = self.rest.next_entry::<&RawValue, &RawValue>()? {
            let json = key.get();
            let plain = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
            if plain == Some(name) || json.contains('\\') && String::deserialize(key).is_ok_and(|key| key == name) {
                return Ok(Some((key, value)));
            }
            self.read.push_back((key, value));
        }
        Ok(None)
    }

    fn into_pull<T: Deserialize<'de>>(self) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(self))
    }

    fn into_json(mut self) -> Result<String, A::Error> {
        let mut json = String::from("{");
        while let Some((key, value)) = self.next_entry::<&RawValue, &RawValue>()? {
            let comma = if json.len() > 1 { "," } else { "" };
            json.extend([comma, key.get(), ":", value.get()]);
        }
        json.push('}');
        Ok(json)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Fields<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some((key, value)) = self.read.pop_front() else { return self.rest.next_key_seed(seed) };
        self.value = Some(value);
        seed.deserialize(key).map(Some).map_err(A::Error::custom)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            Some(value) => seed.deserialize(value).map_err(A::Error::custom),
            None => self.rest.next_value_seed(seed),
        }
    }
}

/// Properties of a material were pulled: `POST /materials/:id/properties/pull`, or GraphQL `pullProperties`.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PropertyPull {
    material_id: String,
    property_ids: Ids,
    user_id: Option<String>,
}

impl PropertyPull {
    /// The material. Opaque.
    pub fn material_id(&self) -> &str {
        &self.material_id
    }

    /// The properties, at most 500.
    pub fn property_ids(&self) -> &Ids {
        &self.property_ids
    }

    /// The user whose call it was.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }
}

/// Reference products of a process were pulled: `POST /processes/:id/pull`, or GraphQL `pullProcess`.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ProcessPull {
    process_id: String,
    reference_product_ids: Ids,
    revealed_count: Option<u64>,
    user_id: Option<String>,
}

impl ProcessPull {
    /// The process. Opaque.
    pub fn process_id(&self) -> &str {
        &self.process_id
    }

    /// The reference products, at most 500.
    pub fn reference_product_ids(&self) -> &Ids {
        &self.reference_product_ids
    }

    /// How many were revealed; may be fewer than are listed.
    pub fn revealed_count(&self) -> Option<u64> {
        self.revealed_count
    }

    /// The user whose call it was.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }
}

/// Impacts of a process were pulled, per characterization method: `POST /processes/:id/impacts/pull`, or GraphQL `pullImpacts`.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ImpactPull {
    process_id: String,
    characterization_factor_ids: Vec<CharacterizationFactorId>,
    user_id: Option<String>,
}

impl ImpactPull {
    /// The process. Opaque.
    pub fn process_id(&self) -> &str {
        &self.process_id
    }

    /// The characterization factors, at most 500.
    pub fn characterization_factor_ids(&self) -> &[CharacterizationFactorId] {
        &self.characterization_factor_ids
    }

    /// The user whose call it was.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }
}

/// One characterization factor: a pair with a comma in it, `methodId,processId`.
#[derive(Clone, Deserialize, Eq, Hash, PartialEq)]
#[serde(transparent)]
pub struct CharacterizationFactorId(String);

impl CharacterizationFactorId {
    /// The id as it came, comma and all.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The method's id and the process's id: what stands before and behind the first comma; `None` without a comma.
    pub fn pair(&self) -> Option<(&str, &str)> {
        self.0.split_once(',')
    }
}

/// The older form of `datapoint.pulled`, without `unit`, still in the vendor's overview page.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct MaterialPull {
    material_ids: Ids,
    user_id: Option<String>,
    credits_debited: Option<i64>,
}

impl MaterialPull {
    /// The materials, at most 500.
    pub fn material_ids(&self) -> &Ids {
        &self.material_ids
    }

    /// The user whose call it was.
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// The credits that the call cost; null in the API where it is not known.
    pub fn credits_debited(&self) -> Option<i64> {
        self.credits_debited
    }
}

/// A `datapoint.pulled` with a unit that this version does not know.
#[derive(Clone, Eq, PartialEq)]
pub struct UnknownPull {
    unit: String,
    json: String,
}

impl UnknownPull {
    /// The unit; as JSON, if it is no string.
    pub fn unit(&self) -> &str {
        &self.unit
    }

    /// The whole `data` as JSON, without white space between its fields. [`AnyEvent::raw_data`](crate::AnyEvent::raw_data) has its exact bytes.
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// The data of `webhook.test`, sent by the portal's "Send test" button.
#[derive(Clone, Deserialize, Eq, PartialEq)]
pub struct WebhookTest {
    message: Option<String>,
}

impl EventData for WebhookTest {
    const SENDER: Sender = Sender::CIRCA;
    const TYPE: &'static str = "webhook.test";
}

impl WebhookTest {
    /// The sender's message; empty where it sent none.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }
}

/// `Debug` that names the type and shows nothing of the body.
macro_rules! opaque_debug {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

opaque_debug! { DatapointPulled PropertyPull ProcessPull ImpactPull CharacterizationFactorId MaterialPull UnknownPull WebhookTest }
