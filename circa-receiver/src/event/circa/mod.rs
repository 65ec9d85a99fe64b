//! The typed data of Circa's events.
//!
//! `datapoint_pulled`: the data in its three units, its older form and units not known yet; `ids`:
//! a list of ids; `webhook_test`: the data of the "Send test" button.

mod datapoint_pulled;
mod ids;
mod webhook_test;

pub use datapoint_pulled::{
    CharacterizationFactorId, DatapointPulled, ImpactPull, MaterialPull, ProcessPull, PropertyPull, UnknownPull,
};
pub use ids::Ids;
pub use webhook_test::WebhookTest;
