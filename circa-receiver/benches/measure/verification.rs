//! Verification of one Circa delivery: the floor, a bare pre-keyed HMAC, and ours.

use std::{hint::black_box, time::Duration};

use circa_receiver::{Clock, Secret, SystemClock, Verifier, testing::CircaSigner};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    SECRET, body,
    floor::Floor,
    headers, now,
    promise::Promise,
    rounds::{Candidate, Measured, compare},
    size,
    table::Table,
};

/// How ours is called in tables.
pub const OURS: &str = "circa-receiver";
/// The bodies, in bytes, and the highest ratio to the floor that is promised.
pub const SIZES: [(usize, Option<f64>); 6] =
    [(200, None), (300, Some(1.1)), (1_024, None), (4_096, Some(1.1)), (65_536, None), (1_048_576, None)];

/// A `v1` that matches nothing.
pub const BOGUS: &str = ",v1=0000000000000000000000000000000000000000000000000000000000000000";

/// A body, signed now.
pub struct Signed {
    pub body: Vec<u8>,
    pub header: String,
}

impl Signed {
    pub fn new(bytes: usize) -> Self {
        let body = body::filled(bytes);
        Self { header: CircaSigner::new(SECRET).sign_now(&body), body }
    }

    /// The same body under a header of so many `v1`, none of which matches.
    pub fn bogus(&self, v1: usize) -> Self {
        Self { body: self.body.clone(), header: format!("t={}{}", now(), BOGUS.repeat(v1)) }
    }

    /// The floor first, then a bare HMAC, ours with the eight headers that Circa sends, and ours with one.
    pub fn candidates(&self) -> Vec<Candidate<'_>> {
        let floor = Floor::new(SECRET);
        let bare = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length will do");
        let floor_with = move |clock: fn() -> i64| {
            move || floor.verify(black_box(self.header.as_bytes()), black_box(&self.body), clock)
        };
        assert!(floor_with(now)());
        vec![
            Candidate::new("floor", floor_with(now)),
            Candidate::new("floor, with our clock", floor_with(system_clock)),
            Candidate::new("bare HMAC", move || {
                let mut mac = bare.clone();
                mac.update(b"1747000800.");
                mac.update(black_box(&self.body));
                mac.finalize()
            }),
            self.ours(OURS, 0),
            self.ours("circa-receiver, 1 header", 7),
        ]
    }

    /// Ours, without so many of the eight headers.
    pub fn ours(&self, name: &str, without: usize) -> Candidate<'_> {
        let headers = headers("300", "evt_8f3c5d9a-0b1c-4f5e-9d2a-6b7c8d9e0f10", &self.header);
        let verifier = Verifier::circa(Secret::new(SECRET).expect("the secret is long enough"));
        let verify = move || {
            verifier
                .verify(black_box(&headers[without..]).iter().copied(), black_box(&*self.body), system_clock())
                .is_ok()
        };
        assert_eq!(verify(), Floor::new(SECRET).verify(self.header.as_bytes(), &self.body, now));
        Candidate::new(name, verify)
    }
}

fn system_clock() -> i64 {
    SystemClock.unix_seconds().expect("the clock stands after 1970")
}

/// An empty table for [`rows`].
pub fn table(title: &str) -> Table {
    Table::new(title, &["body", "candidate", "ns", "min", "median", "allocations"])
}

/// Adds what was measured at one size.
pub fn rows(table: &mut Table, bytes: usize, measured: &[Measured]) {
    for Measured { name, nanoseconds, min, median, allocations } in measured {
        let figures = [nanoseconds.round(), *min, *median, *allocations];
        table.row([size(bytes).into(), name.as_str().into()].into_iter().chain(figures.map(Into::into)));
    }
}

/// What is promised for ours at one size.
pub fn promises(bytes: usize, limit: Option<f64>, measured: &[Measured]) -> Vec<Promise> {
    let ours = measured.iter().find(|measured| measured.name == OURS).expect("ours is among the candidates");
    let what = |figure| format!("verification at {}: {figure}", size(bytes));
    let allocations = Promise::at_most(what("allocations"), 0.0, ours.allocations);
    let ratio = limit.map(|limit| Promise::at_most(what("to the floor"), limit, ours.median));
    [allocations].into_iter().chain(ratio).collect()
}

/// Eight candidates to one, none of which matches, at 1 MiB.
pub fn flood(budget: Duration) -> Promise {
    let signed = Signed::new(1 << 20);
    let (one, eight) = (signed.bogus(1), signed.bogus(8));
    let measured = compare(&[one.ours("one", 0), eight.ours("eight", 0)], budget);
    Promise::at_most("verification at 1 MiB: eight bogus v1 to one", 1.05, measured[1].median)
}
