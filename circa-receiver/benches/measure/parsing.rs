//! Parsing: the envelope alone, and with typed data, beside `serde_json` on the same body.

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use circa_receiver::{Event, Secret, Verified, Verifier, event::DatapointPulled, testing::CircaSigner};
use serde::Deserialize;

use super::{
    SECRET, body, now,
    promise::Promise,
    rounds::{Candidate, Measured, compare},
    size,
    table::Table,
};

/// How a direct typed parse is called in tables: what the others are compared with.
pub const DIRECT: &str = "serde_json, typed";
/// How a typed event from a verified body is called in tables.
pub const TYPED: &str = "circa-receiver, typed event";

/// The whole event as a program would declare it that parses by hand.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Direct {
    pub id: String,
    #[serde(rename = "type")]
    pub event_type: String,
    pub created: i64,
    pub livemode: bool,
    pub team_id: String,
    pub data: DirectData,
}

/// Its data.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectData {
    pub unit: String,
    pub material_id: String,
    pub property_ids: Vec<String>,
    pub user_id: Option<String>,
}

/// How a parse of the data alone is called in tables.
pub const OWN_FIELDS: &str = "serde_json, data alone";

/// The data alone, by the crate's own type: what is allocated for the typed event's own fields.
#[derive(Debug, Deserialize)]
pub struct OwnFields {
    pub data: DatapointPulled,
}

/// A body, and what is needed to verify it again and again.
pub struct Parsing {
    body: Bytes,
    header: String,
    verifier: Verifier,
}

impl Parsing {
    pub fn new(bytes: usize) -> Self {
        let body = Bytes::from(body::pulled(1, bytes));
        let header = CircaSigner::new(SECRET).sign_now(&body);
        Self { body, header, verifier: Verifier::circa(Secret::new(SECRET).expect("the secret is long enough")) }
    }

    fn verified(&self) -> Verified<'_, Bytes> {
        let headers = [("circa-signature", self.header.as_bytes())];
        self.verifier.verify(headers, self.body.clone(), now()).expect("the body was signed with this secret")
    }

    /// A direct typed parse first.
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        let typed = |verified: Verified<'_, Bytes>| {
            let event = verified.event().expect("the envelope is valid");
            Event::<DatapointPulled>::try_from(event).expect("the data is valid")
        };
        vec![
            Candidate::new(DIRECT, || serde_json::from_slice::<Direct>(black_box(&self.body)).is_ok_and(read)),
            Candidate::new(OWN_FIELDS, || serde_json::from_slice::<OwnFields>(black_box(&self.body)).is_ok_and(read)),
            Candidate::new("serde_json::Value", || {
                serde_json::from_slice::<serde_json::Value>(black_box(&self.body)).is_ok_and(read)
            }),
            Candidate::on_fresh("circa-receiver, envelope", || self.verified(), |verified| verified.event().is_ok()),
            Candidate::on_fresh(TYPED, || self.verified(), typed),
        ]
    }
}

/// Keeps what was parsed from being optimised away; its drop is part of the work.
pub fn read<T>(parsed: T) -> bool {
    black_box(&parsed);
    true
}

/// A table over some sizes, ratios to the direct typed parse.
pub fn run(sizes: &[usize], budget: Duration) -> (Table, Vec<Promise>) {
    let mut table = Table::new(
        "Parsing a verified body; ratios to a direct typed parse",
        &["body", "candidate", "ns", "min", "median", "allocations"],
    );
    let mut promises = Vec::new();
    for &bytes in sizes {
        for Measured { name, nanoseconds, min, median, allocations } in
            compare(&Parsing::new(bytes).candidates(), budget)
        {
            if name == TYPED && bytes <= 4_096 {
                let what = format!("typed event at {}: to a direct typed parse", size(bytes));
                promises.push(Promise::at_most(what, 1.15, median));
            }
            let figures = [nanoseconds.round(), min, median, allocations];
            table.row([size(bytes).into(), name.into()].into_iter().chain(figures.map(Into::into)));
        }
    }
    (table, promises)
}
