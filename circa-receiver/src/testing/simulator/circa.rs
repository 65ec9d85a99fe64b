//! Circa, as documented: signed anew at each attempt, 15 s of patience, six retries, disabled after
//! 20 failures in a row.

use std::{
    cell::Cell, collections::hash_map::RandomState, fmt, future::Future, hash::BuildHasher, pin::Pin, sync::Arc,
    time::Duration,
};

use http::Request;
use tokio::time::{Instant, sleep};

use super::{
    Faults, HandlerRuns, Ledger, SimulatedBody, Target,
    attempt::attempt,
    endpoint::{Disabling, EndpointState},
    faults::{Fault, Random},
    join::join_all,
    ledger::{Attempt, End, Repetition, Row},
};
use crate::clock::{Clock, SystemClock};
use crate::sender::Sender;
use crate::testing::{CircaSigner, Fixture, fixtures};

/// How long Circa waits after each failed attempt: 30 s, 2 m, 10 m, 1 h, 6 h, 24 h, then the event
/// is dropped (Circa documentation, Webhooks).
pub const RETRY_DELAYS: [Duration; 6] = [
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
    Duration::from_secs(3_600),
    Duration::from_secs(21_600),
    Duration::from_secs(86_400),
];

/// An event meets at most so many faults: four of its seven attempts are good.
const FAULTS_PER_EVENT: usize = 3;

/// How far a sender's clock may be off with [`Faults::clock_skew`], in seconds: within the
/// tolerance of 300 s, with room for a slow body.
const SKEW_SECONDS: u64 = 200;

/// By how much an event is held up at most with [`Faults::reordered`].
const HELD_UP_SECONDS: u64 = 600;

/// Sends events to a [`Target`] as Circa does, and misbehaves as it is set to.
///
/// Run it in paused time, with one [`TokioClock`](crate::testing::TokioClock) for it and for the
/// receiver under test: 32 hours pass in less than a second. Paused time runs ahead while a handler
/// waits for a socket, as that of a database: there divide the schedule instead.
#[must_use]
pub struct CircaSimulator {
    endpoints: Vec<Endpoint>,
    events: Vec<Fixture>,
    clock: Arc<dyn Clock>,
    seed: u64,
    faults: Faults,
    disabling: Disabling,
    rotate_to: Option<CircaSigner>,
    divisor: u32,
}

struct Endpoint {
    name: Option<String>,
    path: String,
    signer: CircaSigner,
}

impl CircaSimulator {
    /// A sender with one endpoint, at this path and with this secret, and ten events of all
    /// documented shapes.
    pub fn new(path: &str, secret: impl AsRef<[u8]>) -> Self {
        let endpoint = Endpoint { name: None, path: path.to_owned(), signer: CircaSigner::new(secret) };
        Self {
            endpoints: vec![endpoint],
            events: Vec::new(),
            clock: Arc::new(SystemClock),
            seed: RandomState::new().hash_one(0),
            faults: Faults::none(),
            disabling: Disabling::default(),
            rotate_to: None,
            divisor: 1,
        }
        .count(10)
    }

    /// One endpoint more, to which every event is sent too. Its handlers record their runs as
    /// `"<name> <event id>"`, or it is observed by this name.
    pub fn endpoint(mut self, name: &str, path: &str, secret: impl AsRef<[u8]>) -> Self {
        let signer = CircaSigner::new(secret);
        self.endpoints.push(Endpoint { name: Some(name.to_owned()), path: path.to_owned(), signer });
        self
    }

    /// Sends so many events, of all documented shapes in turn, with the ids `evt_0`, `evt_1`, ...
    pub fn count(self, events: usize) -> Self {
        let shapes: Vec<_> = fixtures().into_iter().filter(|event| event.sender() == Sender::CIRCA).collect();
        self.events(shapes.iter().cycle().zip(0..events).map(|(shape, n)| shape.with_id(&format!("evt_{n}"))))
    }

    /// Sends these events, one second apart. Give each an id of its own, with [`Fixture::with_id`].
    pub fn events(mut self, events: impl IntoIterator<Item = Fixture>) -> Self {
        self.events = events.into_iter().collect();
        self
    }

    /// The clock by which deliveries are signed; the system's by default. Give the receiver under
    /// test the same.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// What goes wrong on the way; nothing by default.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Repeats a simulation, or in real time its faults: what happens by chance comes from this
    /// number. Another one each time by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What counts towards the 20 failures in a row that disable an endpoint.
    pub fn disabling(mut self, disabling: Disabling) -> Self {
        self.disabling = disabling;
        self
    }

    /// Signs with another secret once half of the events have been sent, at all endpoints.
    pub fn rotate_to(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.rotate_to = Some(CircaSigner::new(secret));
        self
    }

    /// Divides all waiting between attempts by this, in real time: for a real database, and for
    /// real HTTP. The 15 s of patience stay.
    pub fn schedule_divided_by(mut self, divisor: u32) -> Self {
        self.divisor = divisor.max(1);
        self
    }

    /// Sends everything, until each event is delivered, dropped or not sent any more.
    ///
    /// # Panics
    ///
    /// If the schedule is not divided and tokio's time is not paused: it would take 32 hours. And
    /// if the clock stands before 1970.
    pub async fn run(self, target: impl Target, runs: &HandlerRuns) -> Ledger {
        if self.divisor == 1 {
            assert_paused();
        }
        let run = Run {
            simulator: &self,
            target,
            started: Instant::now(),
            sent: Cell::new(0),
            states: self.endpoints.iter().map(|_| EndpointState::new(self.disabling)).collect(),
        };
        let lives =
            self.endpoints.iter().zip(&run.states).flat_map(|endpoint| {
                self.events.iter().enumerate().map(move |(number, event)| (endpoint, number, event))
            });
        let mut rows = Vec::new();
        rows.resize_with(self.endpoints.len() * self.events.len(), || None);
        join_all(lives.zip(&mut rows).map(
            |(((endpoint, state), number, event), row)| -> Pin<Box<dyn Future<Output = ()>>> {
                let run = &run;
                Box::pin(async move { *row = Some(run.live(endpoint, state, number, event).await) })
            },
        ))
        .await;
        let disabled = self.endpoints.iter().zip(&run.states).filter(|(_, state)| state.is_disabled());
        let disabled = disabled.map(|(endpoint, _)| endpoint.path.clone()).collect();
        Ledger {
            seed: self.seed,
            repetition: if self.divisor == 1 { Repetition::Story } else { Repetition::Faults },
            runs: runs.clone(),
            rows: rows.into_iter().flatten().collect(),
            named: self.endpoints.iter().filter_map(|endpoint| endpoint.name.clone()).collect(),
            disabled,
        }
    }
}

/// Waiting is only acceptable where it takes no time: paused, tokio's time stands still while a
/// thread sleeps.
fn assert_paused() {
    let before = Instant::now();
    std::thread::sleep(Duration::from_millis(1));
    assert!(
        Instant::now() == before,
        "tokio's time is not paused, and the schedule takes 32 hours: use #[tokio::test(start_paused = true)], or `schedule_divided_by` for real HTTP"
    );
}

/// A simulation under way.
struct Run<'s, T> {
    simulator: &'s CircaSimulator,
    target: T,
    started: Instant,
    /// How many events have been sent for the first time.
    sent: Cell<usize>,
    states: Vec<EndpointState>,
}

impl<T: Target> Run<'_, T> {
    /// One event at one endpoint, from its first attempt to its last.
    async fn live(&self, endpoint: &Endpoint, state: &EndpointState, number: usize, event: &Fixture) -> Row {
        let CircaSimulator { seed, faults, divisor, events, .. } = self.simulator;
        let mut random = Random::new(seed ^ (number as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let id = event.id();
        let run_id = endpoint.name.as_ref().map_or(id.to_owned(), |name| format!("{name} {id}"));
        let mut row = Row { path: endpoint.path.clone(), run_id, attempts: Vec::new(), end: End::Dropped };
        let skew = if faults.clock_skew { random.below(2 * SKEW_SECONDS + 1) as i64 - SKEW_SECONDS as i64 } else { 0 };
        let held_up = if faults.reordered { random.below(HELD_UP_SECONDS) } else { number as u64 };
        sleep(Duration::from_secs(held_up) / *divisor).await;

        let (mut met, mut first_signature) = (0, None);
        for wait in std::iter::once(None).chain(RETRY_DELAYS.map(Some)) {
            if let Some(wait) = wait {
                sleep(wait / *divisor).await;
            }
            if state.is_disabled() {
                row.end = End::Disabled;
                return row;
            }
            let drawn = faults.draw(&mut random, wait.is_some());
            let fault = drawn.filter(|_| met < FAULTS_PER_EVENT && state.begin_fault());
            met += usize::from(fault.is_some());
            if wait.is_none() {
                self.sent.set(self.sent.get() + 1);
            }
            let signature = self.sign(endpoint, event, skew);
            let first_signature = first_signature.get_or_insert_with(|| signature.clone());
            let signature = if fault == Some(Fault::OldSignature) { first_signature } else { &signature };
            let claimed_id = match fault {
                Some(Fault::AlteredHeaders) => events.get(number + 1).map_or("evt_of_nobody", Fixture::id),
                _ => id,
            };
            let at = self.started.elapsed();
            let request = |body| request(&endpoint.path, event, claimed_id, signature, body);
            let attempted = attempt(&self.target, event, fault, request).await;
            state.end_attempt(id, fault.is_some(), attempted.success);
            row.attempts.push(Attempt { at, fault, answer: attempted.answer });
            if attempted.success {
                row.end = End::Delivered;
                return row;
            }
        }
        row
    }

    fn sign(&self, endpoint: &Endpoint, event: &Fixture, skew: i64) -> String {
        let half_way = 2 * self.sent.get() > self.simulator.events.len() * self.simulator.endpoints.len();
        let signer = self.simulator.rotate_to.as_ref().filter(|_| half_way).unwrap_or(&endpoint.signer);
        let now = self.simulator.clock.unix_seconds().expect("the simulator's clock stands after 1970");
        signer.sign(now.saturating_add(skew).max(0), event.body().as_bytes())
    }
}

fn request(path: &str, event: &Fixture, id: &str, signature: &str, body: SimulatedBody) -> Request<SimulatedBody> {
    Request::post(path)
        .header("content-type", "application/json")
        .header("content-length", event.body().len())
        .header("user-agent", "Circa-Webhooks/1.0")
        .header("circa-event", event.event_type())
        .header("circa-event-id", id)
        .header("circa-webhook-id", "wh_simulated")
        .header("circa-signature", signature)
        .body(body)
        .expect("the path was given as one of a URI")
}

impl fmt::Debug for CircaSimulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircaSimulator")
            .field("events", &self.events.len())
            .field("seed", &self.seed)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
