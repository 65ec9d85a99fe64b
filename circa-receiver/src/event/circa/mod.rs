//! The typed data of Circa's events.
//!
//! `datapoint_pulled`: the data in its three units, its older form and units not known yet; `ids`: a list of ids.

mod datapoint_pulled;
mod ids;

pub use datapoint_pulled::{
    CharacterizationFactorId, DatapointPulled, ImpactPull, MaterialPull, ProcessPull, PropertyPull, UnknownPull,
    WebhookTest,
};
pub use ids::Ids;
