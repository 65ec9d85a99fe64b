//! Verification of one Circa delivery beside its floor and beside a bare pre-keyed HMAC: `cargo bench -p circa-receiver --bench verify`.
//!
//! Exits non-zero where a promised ratio or allocation count is missed.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::incompatible_msrv)]

mod measure;

use std::{hint::black_box, process::ExitCode, time::Duration};

use circa_receiver::{Clock, Secret, SystemClock, Verifier, testing::CircaSigner};
use hmac::{Hmac, KeyInit, Mac};
use measure::{
    SECRET, body,
    floor::Floor,
    promise::{Promise, judge},
    rounds::{Candidate, compare},
    size,
    table::Table,
};
use sha2::Sha256;

/// Of the measurement at one size.
const BUDGET: Duration = Duration::from_millis(1_500);
/// A `v1` that matches nothing.
const BOGUS: &str = ",v1=0000000000000000000000000000000000000000000000000000000000000000";

fn main() -> ExitCode {
    let mut table = Table::new(
        "Verification of one delivery; ratios to the floor",
        &["body", "candidate", "ns", "min", "median", "allocations"],
    );
    let mut promises = Vec::new();
    // The highest ratio to the floor that is promised.
    for (bytes, promised) in
        [(200, None), (300, Some(1.1)), (1_024, None), (4_096, Some(1.1)), (65_536, None), (1_048_576, None)]
    {
        for measured in verification(bytes) {
            if measured.name == "circa-receiver" {
                let what = |figure| format!("verification at {}, {figure}", size(bytes));
                promises.push(Promise::at_most(what("allocations"), 0.0, measured.allocations as f64));
                promises.extend(promised.map(|limit| Promise::at_most(what("to the floor"), limit, measured.median)));
            }
            let figures = [measured.nanoseconds.round(), measured.min, measured.median];
            let figures = figures.map(Into::into).into_iter().chain([measured.allocations.into()]);
            table.row([size(bytes).into(), measured.name.into()].into_iter().chain(figures));
        }
    }
    table.print();
    promises.push(Promise::at_most("1 MiB: eight bogus v1 to one", 1.05, flood()));
    judge(&promises)
}

fn verification(bytes: usize) -> Vec<measure::rounds::Measured> {
    let body = body::filled(bytes);
    let header = CircaSigner::new(SECRET).sign_now(&body);
    let (floor, verify, bare) = (Floor::new(SECRET), Verify::new(&header, &body), Bare::new(&body));
    let few = Verify { headers: verify.headers[7..].to_vec(), ..Verify::new(&header, &body) };
    assert!(floor.verify(header.as_bytes(), &body) && verify.run() && few.run());
    assert!(!floor.verify(header.replace('a', "b").as_bytes(), &body) || !header.contains('a'));
    let candidates = [
        Candidate::new("floor", || floor.verify(black_box(header.as_bytes()), black_box(&body))),
        Candidate::new("bare HMAC", || bare.run()),
        Candidate::new("circa-receiver", || verify.run()),
        Candidate::new("circa-receiver, 1 header", || few.run()),
    ];
    compare(&candidates, BUDGET)
}

/// What eight candidates cost to one, none of which matches.
fn flood() -> f64 {
    let body = body::filled(1_048_576);
    let [one, eight] = [1, 8].map(|times| format!("t={}{}", measure::now(), BOGUS.repeat(times)));
    let (one, eight) = (Verify::new(&one, &body), Verify::new(&eight, &body));
    assert!(!one.run() && !eight.run());
    compare(&[Candidate::new("one", || one.run()), Candidate::new("eight", || eight.run())], BUDGET)[1].median
}

/// A delivery with the headers that Circa sends.
struct Verify<'a> {
    verifier: Verifier,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Verify<'a> {
    fn new(signature: &'a str, body: &'a [u8]) -> Self {
        let headers = [
            ("host", &b"example.com"[..]),
            ("content-type", b"application/json"),
            ("content-length", b"300"),
            ("user-agent", b"Circa-Webhooks/1.0"),
            ("circa-event", b"datapoint.pulled"),
            ("circa-event-id", b"evt_8f3c5d9a-0b1c-4f5e-9d2a-6b7c8d9e0f10"),
            ("circa-webhook-id", b"wh_1"),
            ("circa-signature", signature.as_bytes()),
        ];
        Self { verifier: Verifier::circa(Secret::new(SECRET).unwrap()), headers: headers.to_vec(), body }
    }

    fn run(&self) -> bool {
        let now = SystemClock.unix_seconds().unwrap();
        self.verifier.verify(black_box(&self.headers).iter().copied(), black_box(self.body), now).is_ok()
    }
}

/// The MAC alone, with its key compressed beforehand: no header, no clock, no comparison.
struct Bare<'a> {
    key: Hmac<Sha256>,
    body: &'a [u8],
}

impl<'a> Bare<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { key: Hmac::new_from_slice(SECRET.as_bytes()).unwrap(), body }
    }

    fn run(&self) -> [u8; 32] {
        let mut mac = self.key.clone();
        mac.update(b"1747000800.");
        mac.update(black_box(self.body));
        mac.finalize().into_bytes().into()
    }
}
