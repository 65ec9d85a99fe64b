//! Dedup: time and memory per event at many sizes, the whole pipeline over a full store, and routing over many types.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore, Routes,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce},
};
use tokio::runtime::Runtime;

use crate::{
    measure::{
        pipeline::{Pipeline, Source},
        promise::Promise,
        rounds::{Candidate, compare, median, timed},
        stores::STORES,
        table::Table,
    },
    part::Part,
};

const SIZES: [u64; 7] = [1_000, 10_000, 100_000, 300_000, 1_000_000, 2_000_000, 5_000_000];
/// Of what is timed at one size.
const PARTS: u64 = 15;
/// Room for all of them, so that nothing is evicted.
const CAPACITY: u64 = 6_000_000;
const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);
const BUDGET: Duration = Duration::from_secs(3);
/// A few thousand remembered events, and many.
const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;

pub fn run() -> Part {
    let mut part = Part::new("dedup");
    part.tables.push(sizes());
    part.with(throughput())
}

/// Claim and complete, of events that are all fresh.
fn sizes() -> Table {
    let columns = ["store", "events", "ns per event", "ns, claim of a known one", "bytes per event"];
    let mut table = Table::new("Dedup: claim and complete of one fresh event", &columns);
    let runtime = runtime();
    for (name, make) in STORES {
        let mut bytes = 0.0;
        let mut store = None;
        bytes += allocated(|| store = Some(make(CAPACITY))) as f64;
        let store = store.expect("it was just made");
        let mut remembered = 0;
        for events in SIZES {
            // The last ones are timed, in parts: they are claimed when nearly so many are there already.
            let part = (events / 100).clamp(50, 2_500);
            let timed = events - PARTS * part;
            bytes += allocated(|| runtime.block_on(fill(&*store, remembered..timed))) as f64;
            let fresh = median((0..PARTS).map(|at| {
                let start = Instant::now();
                let from = timed + at * part;
                bytes += allocated(|| runtime.block_on(fill(&*store, from..from + part))) as f64;
                start.elapsed().as_nanos() as f64 / part as f64
            }));
            let known = median((0..PARTS).map(|at| {
                let keys: Vec<Key> = (0..part).map(|number| key((at * part + number) * 7_919 % events)).collect();
                let start = Instant::now();
                runtime.block_on(async {
                    for key in &keys {
                        let answer = claim(&*store, key).await;
                        assert!(matches!(answer, ClaimAnswer::Done { .. }), "{name}: {answer:?}");
                    }
                });
                start.elapsed().as_nanos() as f64 / part as f64
            }));
            remembered = events;
            let figures = [events as f64, fresh.round(), known.round(), (bytes / events as f64).round()];
            table.row([name.into()].into_iter().chain(figures.map(Into::into)));
        }
    }
    table
}

/// The pipeline with many remembered events to the pipeline with few.
fn throughput() -> (Table, Vec<Promise>) {
    let mut table = Table::new(
        "The whole pipeline at 300 B by remembered events; ratios to few",
        &["store", "remembered", "ns", "min", "median"],
    );
    let mut promises = Vec::new();
    let (runtime, source) = (runtime(), Source::new(300));
    for (name, make) in STORES {
        let filled = |events| {
            let store = make(2 * MANY);
            runtime.block_on(fill(&*store, 0..events));
            Pipeline::new(store)
        };
        let many = filled(MANY);
        let candidates = [
            // A new store each time: the deliveries of the rounds before must not stay in it.
            Candidate::in_bulk("1000", |calls| over(&filled(FEW), &source, calls)),
            Candidate::in_bulk("1000000", |calls| over(&many, &source, calls)),
        ];
        let measured = compare(&candidates, BUDGET);
        for (measured, events) in measured.iter().zip([FEW, MANY]) {
            let figures = [events as f64, measured.nanoseconds.round(), measured.min, measured.median];
            table.row([name.into()].into_iter().chain(figures.map(Into::into)));
        }
        let what = format!("{name}: throughput of the pipeline at 1,000,000 remembered events, to that at 1,000");
        promises.push(Promise::at_least(what, 0.8, 1.0 / measured[1].median));
    }
    (table, promises)
}

fn over(pipeline: &Pipeline, source: &Source, calls: usize) -> (Duration, u64) {
    let deliveries: Vec<_> = (0..calls).map(|_| source.fresh()).collect();
    timed(|| pipeline.receive(&deliveries))
}

async fn fill(store: &dyn DedupStore, events: std::ops::Range<u64>) {
    for number in events {
        let key = key(number);
        let ClaimAnswer::Won(token) = claim(store, &key).await else { panic!("the event is fresh") };
        assert!(store.complete(&key, token, RETENTION).await.expect("it is in memory"));
    }
}

async fn claim(store: &dyn DedupStore, key: &Key) -> ClaimAnswer {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let nonce = Nonce(u128::from(COUNT.fetch_add(1, Ordering::Relaxed)));
    let request = ClaimRequest::new(key, Fingerprint::from_bytes([7; 32]), nonce, LEASE, RETENTION);
    store.claim(request).await.expect("it is in memory")
}

/// As long as Circa's ids, and none of those of the pipeline.
fn key(number: u64) -> Key {
    Key::new("circa", &format!("evt_8f3c5d9a-0b1c-4f5e-9d2a-{number:012}"))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts")
}

/// Bytes that are still there afterwards.
fn allocated(work: impl FnOnce()) -> i64 {
    allocation_counter::measure(work).bytes_current
}

/// Finding the handler among many types.
pub fn routing() -> Part {
    let columns = ["registered types", "event", "ns", "min", "median", "allocations"];
    let mut table = Table::new("Routing: the handler of one event; ratios to one registered type", &columns);
    let name = |number: usize| format!("datapoint.pulled.{number:04}");
    let sizes = [1, 10, 100, 1_000];
    let routes =
        sizes.map(|types| (0..types).fold(Routes::new(), |routes, number| routes.insert_type(&name(number), number)));
    let candidates: Vec<_> = routes
        .iter()
        .zip(sizes)
        .flat_map(|(routes, types)| {
            let (first, middle) = (name(0), name(types / 2));
            [
                Candidate::new("registered", move || routes.find(black_box(&middle)).is_some()),
                Candidate::new("unknown", move || routes.find(black_box(&first[1..])).is_none()),
            ]
        })
        .collect();
    for (measured, at) in compare(&candidates, BUDGET).iter().zip(0..) {
        let figures = [measured.nanoseconds, measured.min, measured.median, measured.allocations];
        let types = sizes[at / 2] as f64;
        table.row([types.into(), measured.name.as_str().into()].into_iter().chain(figures.map(Into::into)));
    }
    let mut part = Part::new("routing");
    part.tables.push(table);
    part
}
