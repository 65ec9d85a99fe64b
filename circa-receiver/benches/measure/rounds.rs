//! Alternating rounds: every candidate in turn, for about a millisecond each, until the time is used up.

use std::{
    cell::Cell,
    hint::black_box,
    time::{Duration, Instant},
};

/// How long one candidate runs within a round.
const SLICE: Duration = Duration::from_millis(1);
/// Inputs that are made at once: they stay in the cache, as a body does that has just been read.
const BULK: usize = 64;
/// However slow the candidates are.
const MIN_ROUNDS: usize = 5;

/// Something to time.
pub struct Candidate<'a> {
    pub name: String,
    /// Of one call, on average.
    allocations: f64,
    /// The time of so many calls.
    time: Box<dyn Fn(usize) -> Duration + 'a>,
}

/// What came of a candidate. Ratios are to the first candidate of the same run.
#[derive(Clone, Debug)]
pub struct Measured {
    pub name: String,
    /// Of one call, in the fastest round.
    pub nanoseconds: f64,
    /// Fastest round to fastest round.
    pub min: f64,
    /// The median of the rounds' ratios.
    pub median: f64,
    /// Of one call, on average.
    pub allocations: f64,
}

impl<'a> Candidate<'a> {
    /// The same call again and again.
    pub fn new<T>(name: impl Into<String>, run: impl Fn() -> T + 'a) -> Self {
        let loops = move |calls| {
            timed(|| {
                for _ in 0..calls {
                    black_box(run());
                }
            })
        };
        Self::made(name.into(), usize::MAX, loops)
    }

    /// Calls on inputs that are made beforehand, each used once; making them is not timed.
    pub fn on_fresh<I, T>(name: impl Into<String>, fresh: impl Fn() -> I + 'a, run: impl Fn(I) -> T + 'a) -> Self {
        Self::in_bulk(name, move |calls| {
            let inputs: Vec<I> = (0..calls).map(|_| fresh()).collect();
            timed(|| {
                for input in inputs {
                    black_box(run(input));
                }
            })
        })
    }

    /// Any way to make so many calls, a few dozen at most: gives their time and how often they allocated, as [`timed`] does.
    pub fn in_bulk(name: impl Into<String>, bulk: impl Fn(usize) -> (Duration, u64) + 'a) -> Self {
        Self::made(name.into(), BULK, bulk)
    }

    fn made(name: String, at_once: usize, bulk: impl Fn(usize) -> (Duration, u64) + 'a) -> Self {
        let (once, few) = (bulk(1).0, bulk(1).1);
        // What a bulk allocates beside its calls is not counted: the difference of two is.
        let allocations = if once > 20 * SLICE { few as f64 } else { (bulk(65).1 - few) as f64 / 64.0 };
        let time = move |calls: usize| {
            let parts = (0..calls).step_by(at_once).map(|done| at_once.min(calls - done));
            parts.map(|calls| bulk(calls).0).sum()
        };
        Self { name, allocations, time: Box::new(time) }
    }
}

/// The time of a piece of work, and how often it allocated.
pub fn timed(work: impl FnOnce()) -> (Duration, u64) {
    let mut took = Duration::ZERO;
    let allocated = allocation_counter::measure(|| {
        let start = Instant::now();
        work();
        took = start.elapsed();
    });
    (took, allocated.count_total)
}

/// Times the candidates side by side for about so long. The first is what the others are compared with.
pub fn compare(candidates: &[Candidate<'_>], budget: Duration) -> Vec<Measured> {
    let calls: Vec<usize> = candidates.iter().map(|candidate| calls_per_slice(&candidate.time)).collect();
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    let start = Instant::now();
    while rounds.len() < MIN_ROUNDS || start.elapsed() < budget {
        let mut round = vec![0.0; candidates.len()];
        // Each round starts with another, so that none always follows the same one.
        for turn in 0..candidates.len() {
            let at = (turn + rounds.len()) % candidates.len();
            round[at] = (candidates[at].time)(calls[at]).as_nanos() as f64 / calls[at] as f64;
        }
        rounds.push(round);
    }
    let fastest = |at: usize| rounds.iter().map(|round| round[at]).fold(f64::INFINITY, f64::min);
    let measured = |(at, candidate): (usize, &Candidate<'_>)| Measured {
        name: candidate.name.clone(),
        nanoseconds: fastest(at),
        min: fastest(at) / fastest(0),
        median: median(rounds.iter().map(|round| round[at] / round[0])),
        allocations: candidate.allocations,
    };
    candidates.iter().enumerate().map(measured).collect()
}

/// The middle value; the upper one of two.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A number that rises with every call, for fresh ids.
#[derive(Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    pub fn next(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

fn calls_per_slice(time: &dyn Fn(usize) -> Duration) -> usize {
    let calls = 8;
    let once = if time(1) > SLICE { return 1 } else { time(calls) / calls as u32 };
    (SLICE.as_nanos() / once.as_nanos().max(1)).max(1) as usize
}
