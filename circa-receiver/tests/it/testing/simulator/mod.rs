//! The simulated senders: they keep the documented schedule to the second, catch what broken
//! receivers do, and find nothing wrong with ours.

mod faults;
mod mistakes;
mod ours;
mod schedule;

use std::{
    future::Future,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::Mutex,
    time::Duration,
};

use circa_receiver::testing::{Answer, CircaSimulator, CircularoSimulator, Ledger, SimulatedBody, Target, TokioClock};
use http::Request;

const PATH: &str = "/webhooks/circa";
const SECRET: &str = "whsec_test_0123456789abcdef";
const NEW_SECRET: &str = "whsec_next_0123456789abcdef";
const NOW: i64 = 1_747_000_800;

fn simulator() -> CircaSimulator {
    CircaSimulator::new(PATH, SECRET).clock(TokioClock::starting_at(NOW)).seed(1)
}

/// Answers everything in one way.
struct Always<F>(F);

impl<F: Fn() -> Fut, Fut: Future<Output = Option<Answer>>> Target for Always<F> {
    fn deliver(&self, _: Request<SimulatedBody>) -> impl Future<Output = Option<Answer>> {
        (self.0)()
    }
}

/// A number by chance, but the same for a seed.
fn drawn(seed: u64, what: &str, number: usize) -> u64 {
    let mut mixed = seed ^ 0x5851_f42d_4c95_7f2d;
    for byte in what.bytes().chain([number as u8]) {
        mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
    mixed
}

/// How a handler behaves on its `n`th run of an event: how long it works, and whether it succeeds.
fn behaviour(seed: u64, event_id: &str, run: usize) -> (Duration, bool) {
    let mixed = drawn(seed, event_id, run);
    let millis = if mixed % 11 == 0 { 9_000 + mixed / 11 % 6_000 } else { mixed / 11 % 300 };
    (Duration::from_millis(millis), run > 2 || mixed / 7 % 5 > 1)
}

/// The seeds to simulate: so many, or as many as the environment variable `SEEDS` says; one alone
/// where `SEED` is set.
fn seeds(default: u64) -> Range<u64> {
    let number = |name| std::env::var(name).ok().map(|number| number.parse().expect("it is a number"));
    match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SEEDS").unwrap_or(default),
    }
}

/// Simulates in virtual time. A runtime of its own each: time starts anew, and a seed means the
/// same wherever it is repeated.
fn in_virtual_time<T>(seed: u64, simulation: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(simulation))).unwrap_or_else(|panic| {
        eprintln!("SEED={seed} repeats it");
        resume_unwind(panic)
    })
}

/// The name of an assertion, and what it is.
type Assertion = (&'static str, fn(&Ledger));

const ASSERTIONS: [Assertion; 4] = [
    ("assert_nothing_lost", Ledger::assert_nothing_lost),
    ("assert_once", Ledger::assert_once),
    ("assert_nothing_cut_off", Ledger::assert_nothing_cut_off),
    ("assert_enabled", Ledger::assert_enabled),
];

/// What an assertion said when it failed.
fn failure(assertion: impl FnOnce()) -> Option<String> {
    let said = catch_unwind(AssertUnwindSafe(assertion)).err()?;
    Some(said.downcast_ref::<String>().cloned().unwrap_or_default())
}

/// The types are what tests in any crate can hold.
#[test]
fn the_simulators_are_debug() {
    let _keep: (Pin<Box<SimulatedBody>>, Mutex<()>) = (Box::pin(SimulatedBody::whole("")), Mutex::new(()));
    assert!(format!("{:?}", simulator()).contains("seed"));
    assert!(format!("{:?}", CircularoSimulator::new("/", SECRET)).contains("path"));
}
