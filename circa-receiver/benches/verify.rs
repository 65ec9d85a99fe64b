//! Verification of one Circa delivery beside a bare pre-keyed HMAC over the same bytes: `cargo bench -p circa-receiver --bench verify`.
//!
//! Side by side in one run, alternating; ratios, not times, are what counts. Exits non-zero where a promised ratio or allocation count is missed.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{hint::black_box, process::ExitCode, time::Instant};

use circa_receiver::{Secret, Verifier, testing::CircaSigner};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;
const ROUNDS: usize = 60;
/// A `v1` that matches nothing.
const BOGUS: &str = ",v1=0000000000000000000000000000000000000000000000000000000000000000";

fn main() -> ExitCode {
    let mut missed = false;
    println!(
        "{:<28} {:>12} {:>12} {:>8} {:>8} {:>12}",
        "case", "bare HMAC ns", "verify ns", "min", "median", "allocations"
    );
    // The body's size in bytes, and the highest ratio of medians that is promised for it.
    for (size, promised) in [(300, Some(1.5)), (1_024, None), (4_096, Some(1.15)), (65_536, None), (1_048_576, None)] {
        let body = body(size);
        let signature = CircaSigner::new(SECRET).sign(NOW, &body);
        let verify = Verify::new(&signature, &body);
        let bare = Bare::new(&body);
        let allocations = allocation_counter::measure(|| verify.run()).count_total;
        let ratio = compare(&format!("{size} B"), || bare.run(), || verify.run(), Some(allocations));
        missed |= allocations > 0 || promised.is_some_and(|promised| ratio > promised);
    }

    let body = body(1_048_576);
    let good = CircaSigner::new(SECRET).sign(NOW, &body);
    let one = format!("t={NOW}{BOGUS}");
    let eight = format!("t={NOW}{}", BOGUS.repeat(8));
    assert!(Verify::new(&good, &body).accepted());
    let (one, eight) = (Verify::new(&one, &body), Verify::new(&eight, &body));
    assert!(!one.accepted() && !eight.accepted());
    missed |= compare("1 MiB, 8 bogus v1 to 1", || one.run(), || eight.run(), None) > 1.05;
    if missed {
        println!("a promised ratio or allocation count was missed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// A delivery with the headers that Circa sends.
struct Verify<'a> {
    verifier: Verifier,
    headers: [(&'a str, &'a [u8]); 8],
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
        Self { verifier: Verifier::circa(Secret::new(SECRET).unwrap()), headers, body }
    }

    fn accepted(&self) -> bool {
        self.verifier.verify(self.headers.iter().copied(), self.body, NOW).is_ok()
    }

    fn run(&self) {
        let _ = black_box(self.verifier.verify(black_box(&self.headers).iter().copied(), black_box(self.body), NOW));
    }
}

/// The MAC alone, with its key compressed beforehand.
struct Bare<'a> {
    key: Hmac<Sha256>,
    body: &'a [u8],
}

impl<'a> Bare<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { key: Hmac::new_from_slice(SECRET.as_bytes()).unwrap(), body }
    }

    fn run(&self) {
        let mut mac = self.key.clone();
        mac.update(b"1747000800");
        mac.update(b".");
        mac.update(black_box(self.body));
        black_box(mac.finalize());
    }
}

/// Prints a line; returns the median of the rounds' ratios.
fn compare(case: &str, first: impl Fn(), second: impl Fn(), allocations: Option<u64>) -> f64 {
    let calls = calls_per_round(&first);
    let mut rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (time(calls, &first), time(calls, &second))).collect();
    let fastest = |of: fn(&(f64, f64)) -> f64| rounds.iter().map(of).fold(f64::INFINITY, f64::min);
    let (first, second) = (fastest(|round| round.0), fastest(|round| round.1));
    rounds.sort_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
    let median = rounds[ROUNDS / 2];
    let median = median.1 / median.0;
    let allocations = allocations.map_or("-".to_owned(), |count| count.to_string());
    println!("{case:<28} {first:>12.0} {second:>12.0} {:>8.2} {median:>8.2} {allocations:>12}", second / first);
    median
}

/// As many calls as take about two milliseconds.
fn calls_per_round(run: &impl Fn()) -> usize {
    let once = time(10, run).max(10.0);
    ((2e6 / once) as usize).max(1)
}

/// Nanoseconds per call.
fn time(calls: usize, run: &impl Fn()) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        run();
    }
    start.elapsed().as_nanos() as f64 / calls as f64
}

fn body(size: usize) -> Vec<u8> {
    let prefix = r#"{"id":"evt_1","type":"datapoint.pulled","livemode":true,"data":""#;
    let mut body = prefix.as_bytes().to_vec();
    body.resize(size - 2, b'a');
    body.extend_from_slice(b"\"}");
    body
}
