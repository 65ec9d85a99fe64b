//! The data of `datapoint.pulled` (Circa documentation, Webhooks): in its three units, its older
//! form, and units not known yet.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::Error as _,
};
use serde_json::value::RawValue;

use super::ids::Ids;
use crate::event::object::Object;
use crate::event::typed::EventData;
use crate::sender::Sender;

/// The data of `datapoint.pulled`: one event per successful API call, whatever the number of ids in
/// it.
///
/// `data.unit` tells which kind; its absence, the older form. An unknown unit is data, not an
/// error. Deserializes from JSON text only (`serde_json::from_str`), as
/// [`AnyEvent::decode`](crate::AnyEvent::decode) does.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
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

struct ByUnit;

impl<'de> Visitor<'de> for ByUnit {
    type Value = DatapointPulled;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<DatapointPulled, A::Error> {
        let data = Object::read(map)?;
        let unit = data.get("unit").map(|json| serde_json::from_str::<String>(json).map_err(|_| json.to_owned()));
        let pull = match unit {
            None => data.decode().map(DatapointPulled::Material),
            Some(Ok(unit)) if unit == "property" => data.decode().map(DatapointPulled::Property),
            Some(Ok(unit)) if unit == "process" => data.decode().map(DatapointPulled::Process),
            Some(Ok(unit)) if unit == "impact" => data.decode().map(DatapointPulled::Impact),
            // The second is JSON that is no string.
            Some(Ok(unit) | Err(unit)) => Ok(DatapointPulled::Unknown(UnknownPull { unit, json: data.to_json() })),
        };
        pull.map_err(A::Error::custom)
    }
}

impl Serialize for DatapointPulled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// A pull beside the unit that names it.
        #[derive(Serialize)]
        struct Named<'a, T> {
            unit: &'static str,
            #[serde(flatten)]
            pull: &'a T,
        }

        match self {
            Self::Property(pull) => Named { unit: "property", pull }.serialize(serializer),
            Self::Process(pull) => Named { unit: "process", pull }.serialize(serializer),
            Self::Impact(pull) => Named { unit: "impact", pull }.serialize(serializer),
            Self::Material(pull) => pull.serialize(serializer),
            Self::Unknown(pull) => pull.serialize(serializer),
        }
    }
}

/// Properties of a material were pulled: `POST /materials/:id/properties/pull`, or GraphQL
/// `pullProperties`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
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

/// Reference products of a process were pulled: `POST /processes/:id/pull`, or GraphQL
/// `pullProcess`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
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

/// Impacts of a process were pulled, per characterization method:
/// `POST /processes/:id/impacts/pull`, or GraphQL `pullImpacts`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
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
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct CharacterizationFactorId(String);

impl CharacterizationFactorId {
    /// The id as it came, comma and all.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The method's id and the process's id: what stands before and behind the first comma; `None`
    /// without a comma.
    pub fn pair(&self) -> Option<(&str, &str)> {
        self.0.split_once(',')
    }
}

/// The older form of `datapoint.pulled`, without `unit`, still in the vendor's overview page.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
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

    /// The whole `data` as JSON, without white space between its fields.
    /// [`AnyEvent::raw_data`](crate::AnyEvent::raw_data) has its exact bytes.
    pub fn json(&self) -> &str {
        &self.json
    }
}

impl Serialize for UnknownPull {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.json.clone()).map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// Shows the unit: what else the data holds is not known.
impl fmt::Debug for UnknownPull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownPull").field("unit", &self.unit).finish_non_exhaustive()
    }
}
