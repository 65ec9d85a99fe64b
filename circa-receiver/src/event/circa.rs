//! The data of Circa's events (Circa documentation, Webhooks): `datapoint.pulled` in its three units, its older form, and
//! units not known yet; `webhook.test`.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

use super::EventData;
use crate::Sender;

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
        #[derive(Deserialize)]
        struct Unit<'a> {
            /// Absent, or whatever it is: null is a unit too.
            #[serde(borrow, default, deserialize_with = "present")]
            unit: Option<&'a RawValue>,
        }

        fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
            Deserialize::deserialize(deserializer).map(Some)
        }

        // Two readings, because the unit may stand behind the fields that it explains.
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let Unit { unit } = serde_json::from_str(json).map_err(D::Error::custom)?;
        let unit = unit.map(RawValue::get);
        let pull = match unit {
            Some("\"property\"") => serde_json::from_str(json).map(Self::Property),
            Some("\"process\"") => serde_json::from_str(json).map(Self::Process),
            Some("\"impact\"") => serde_json::from_str(json).map(Self::Impact),
            None => serde_json::from_str(json).map(Self::Material),
            Some(unit) => {
                let name = serde_json::from_str(unit).unwrap_or_else(|_| unit.to_owned());
                Ok(Self::Unknown(UnknownPull { unit: name, json: json.to_owned() }))
            }
        };
        pull.map_err(D::Error::custom)
    }
}

/// Properties of a material were pulled: `POST /materials/:id/properties/pull`, or GraphQL `pullProperties`.
#[derive(Clone, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PropertyPull {
    material_id: String,
    property_ids: Vec<String>,
    user_id: Option<String>,
}

impl PropertyPull {
    /// The material. Opaque.
    pub fn material_id(&self) -> &str {
        &self.material_id
    }

    /// The properties, at most 500.
    pub fn property_ids(&self) -> &[String] {
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
    reference_product_ids: Vec<String>,
    revealed_count: Option<u64>,
    user_id: Option<String>,
}

impl ProcessPull {
    /// The process. Opaque.
    pub fn process_id(&self) -> &str {
        &self.process_id
    }

    /// The reference products, at most 500.
    pub fn reference_product_ids(&self) -> &[String] {
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
    material_ids: Vec<String>,
    user_id: Option<String>,
    credits_debited: Option<i64>,
}

impl MaterialPull {
    /// The materials, at most 500.
    pub fn material_ids(&self) -> &[String] {
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

    /// The whole `data`, as JSON.
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
