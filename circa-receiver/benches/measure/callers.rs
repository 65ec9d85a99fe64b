//! Callers at once: the same call by so many tasks, slice by slice in turn with others, and how long each call took.
#![allow(unreachable_pub)] // As in `measure`.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use circa_receiver::dedup::Key;
use tokio::{runtime::Runtime, task::JoinSet};

use super::measure::rounds::median;

/// How long one candidate runs within a round...
const SLICE: Duration = Duration::from_millis(100);
/// ...or so many calls of all its callers: what stays in memory must not fill the machine.
const MOST_CALLS: usize = 32_000;
/// However slow the candidates are.
const MIN_ROUNDS: usize = 5;

/// Something that is called by one task or by many.
pub struct Candidate {
    pub name: String,
    /// What its times are compared with, by name; itself if it is a floor.
    pub floor: &'static str,
    /// Whether it blocks, and so is for one caller alone.
    alone: bool,
    run: Run,
}

/// One slice with so many callers.
type Run = Box<dyn Fn(&Runtime, usize) -> Slice>;

/// What came of a candidate with so many callers.
pub struct Measured {
    pub name: String,
    pub callers: usize,
    /// Calls, the median of the rounds.
    pub per_second: f64,
    /// Of all calls, in microseconds.
    pub p50: f64,
    pub p99: f64,
    /// p50 to the floor's, of the lowest round.
    pub min: f64,
    /// p50 to the floor's, the median of the rounds.
    pub median: f64,
    /// One for each round.
    pub rounds: Vec<Round>,
}

/// One slice in short.
#[derive(Clone, Copy)]
pub struct Round {
    pub per_second: f64,
    /// In microseconds.
    pub p50: f64,
}

struct Slice {
    /// Of every call, in nanoseconds.
    took: Vec<u64>,
    wall: Duration,
}

impl Candidate {
    /// `start` makes the call before each slice, outside its time; the call gets a fresh key each time, made outside its time too.
    pub fn new<S, C, F>(name: &str, floor: &'static str, start: S) -> Self
    where
        S: Fn() -> C + 'static,
        C: Fn(Key) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send,
    {
        let run = move |runtime: &Runtime, callers| runtime.block_on(slice(Arc::new(start()), callers));
        Self { name: name.to_owned(), floor, alone: false, run: Box::new(run) }
    }

    /// Blocks its thread: measured with one caller alone.
    #[must_use]
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }
}

/// Runs all candidates with all numbers of callers in turn, for about so long.
pub fn compare(runtime: &Runtime, candidates: &[Candidate], callers: &[usize], budget: Duration) -> Vec<Measured> {
    let all = callers.iter().flat_map(|&callers| candidates.iter().map(move |candidate| (callers, candidate)));
    let runs: Vec<_> = all.filter(|(callers, candidate)| *callers == 1 || !candidate.alone).collect();
    // Connections are opened and statements prepared before it counts.
    for (callers, candidate) in &runs {
        (candidate.run)(runtime, *callers);
    }
    let mut slices: Vec<Vec<Slice>> = runs.iter().map(|_| Vec::new()).collect();
    let start = Instant::now();
    let mut round = 0;
    while round < MIN_ROUNDS || start.elapsed() < budget {
        // Each round starts with another, so that none always follows the same one.
        for turn in 0..runs.len() {
            let at = (turn + round) % runs.len();
            let (callers, candidate) = runs[at];
            slices[at].push((candidate.run)(runtime, callers));
        }
        round += 1;
    }
    let rounds: Vec<Vec<Round>> = slices.iter().map(|slices| slices.iter().map(Slice::round).collect()).collect();
    let floor = |callers: usize, name: &str| {
        runs.iter().position(|(its, candidate)| *its == callers && candidate.name == name).map(|at| &rounds[at])
    };
    let measured = |(at, (callers, candidate)): (usize, &(usize, &Candidate))| {
        let floor = floor(*callers, candidate.floor).into_iter().flatten();
        let ratios: Vec<f64> = rounds[at].iter().zip(floor).map(|(round, floor)| round.p50 / floor.p50).collect();
        let took = sorted(slices[at].iter().flat_map(|slice| slice.took.iter().copied()).collect());
        Measured {
            name: candidate.name.clone(),
            callers: *callers,
            per_second: median(rounds[at].iter().map(|round| round.per_second)),
            p50: micros(&took, 50),
            p99: micros(&took, 99),
            min: ratios.iter().copied().fold(f64::NAN, f64::min),
            median: if ratios.is_empty() { f64::NAN } else { median(ratios.iter().copied()) },
            rounds: rounds[at].clone(),
        }
    };
    runs.iter().enumerate().map(measured).collect()
}

impl Slice {
    fn round(&self) -> Round {
        let per_second = self.took.len() as f64 / self.wall.as_secs_f64();
        Round { per_second, p50: micros(&sorted(self.took.clone()), 50) }
    }
}

async fn slice<C, F>(call: Arc<C>, callers: usize) -> Slice
where
    C: Fn(Key) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
{
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..callers {
        let call = Arc::clone(&call);
        tasks.spawn(async move {
            let keys = Keys::new();
            let mut took = Vec::new();
            while start.elapsed() < SLICE && took.len() < MOST_CALLS / callers {
                let key = keys.key(took.len());
                let start = Instant::now();
                call(key).await;
                took.push(start.elapsed().as_nanos() as u64);
            }
            took
        });
    }
    let took = tasks.join_all().await;
    Slice { wall: start.elapsed(), took: took.into_iter().flatten().collect() }
}

/// How many times longer the second takes than the first, p50 to p50, the median of some seconds' slices.
///
/// One caller makes both in turn, call by call: on few cores the first wake-ups decide for a while which thread runs where, and a round trip takes three
/// times as long on one side of that as on the other.
pub fn in_turn<A, B, F, G>(runtime: &Runtime, first: A, second: B) -> f64
where
    A: Fn(Key) -> F + Send + Sync + 'static,
    B: Fn(Key) -> G + Send + Sync + 'static,
    F: Future<Output = ()> + Send,
    G: Future<Output = ()> + Send,
{
    const SLICES: usize = 50;
    let calls = Arc::new((first, second));
    let slice = || {
        let calls = Arc::clone(&calls);
        let task = async move {
            let (keys, start) = (Keys::new(), Instant::now());
            let mut took = [Vec::new(), Vec::new()];
            while start.elapsed() < SLICE {
                let number = took[0].len() + took[1].len();
                let (first, second) = (keys.key(number), keys.key(number + 1));
                let start = Instant::now();
                calls.0(first).await;
                let between = Instant::now();
                calls.1(second).await;
                took[0].push((between - start).as_nanos() as u64);
                took[1].push(between.elapsed().as_nanos() as u64);
            }
            let [first, second] = took.map(|took| micros(&sorted(took), 50));
            second / first
        };
        runtime.block_on(async { tokio::spawn(task).await.expect("no call panics") })
    };
    slice();
    median((0..SLICES).map(|_| slice()))
}

/// Keys that no other caller of this process has.
struct Keys(u64);

impl Keys {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// As long as those that Circa sends, and in no order, as those are.
    fn key(&self, number: usize) -> Key {
        let unique = self.0 << 32 | number as u64;
        let mixed = unique.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Key::new(
            "circa",
            &format!("evt_{:016x}{unique:016x}", (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)),
        )
    }
}

fn sorted(mut took: Vec<u64>) -> Vec<u64> {
    took.sort_unstable();
    took
}

fn micros(sorted: &[u64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |nanoseconds| *nanoseconds as f64 / 1_000.0)
}
