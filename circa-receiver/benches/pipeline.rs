//! The whole default receiver in memory, with many remembered ids and under floods.
//!
//! `cargo bench -p circa-receiver --bench pipeline`; with `--features metrics,tracing` also what
//! observers cost. It fails where a goal is missed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    cell::Cell,
    hint::black_box,
    process::ExitCode,
    time::{Duration, Instant},
};

use circa_receiver::{
    Event, HandlerError, MemoryStore, PortableHandler, Receiver, ReceiverBuilder, Routes, event::DatapointPulled,
};
use circa_receiver_bench_support::{BOGUS, Delivery, Figures, Goal, Table, calls, now, secret};
use tokio::runtime::{Builder, Runtime};

fn main() -> ExitCode {
    let mut figures = Figures::new("pipeline", env!("CARGO_TARGET_TMPDIR"), 200, 4.0);
    let mut table = Table::new(&["the receiver in memory", "measured"]);
    let few = Pipeline::full(Receiver::circa(secret()), 1_000);
    remembered(&mut figures, &mut table, &few);
    refused(&mut figures, &mut table, &few);
    #[cfg(all(feature = "metrics", feature = "tracing"))]
    observed(&mut figures, &mut table, &few);
    table.print()
}

/// Both stores are full: each fresh id takes the place of the oldest, so their number stays.
fn remembered(figures: &mut Figures, table: &mut Table, few: &Pipeline) {
    let many = Pipeline::full(Receiver::circa(secret()), 1_000_000);
    let ratio = figures.ratio("remembered", |events| few.accept(events), |events| many.accept(events));
    let what = "throughput at 300 B with 1,000,000 remembered ids, to that with 1,000";
    table.figure(what, ratio, Some(Goal::AtLeast(0.8)));
}

/// Headers that are refused before the hash, and one that is well-formed and matches nothing.
fn refused(figures: &mut Figures, table: &mut Table, pipeline: &Pipeline) {
    let v1 = |times: usize, v1: &str| format!("t={}{}", now(), v1.repeat(times));
    let cases = [
        ("60 KB of spaces", " ".repeat(60_000)),
        ("60 KB around a good form", " ".repeat(30_000) + &v1(1, BOGUS) + &" ".repeat(30_000) + "x"),
        ("5,000 v1", v1(5_000, BOGUS)),
        ("8 v1 of 63 digits", v1(8, &BOGUS[..67])),
        ("1,024 bytes, malformed at the end", format!("{:x<1023},", v1(8, BOGUS) + ",x=")),
    ];
    for (name, signature) in cases {
        let delivery = Delivery { signature, ..Delivery::filled(300) };
        let refuse = |times| pipeline.refuse(&delivery, times);
        let ratio = figures.ratio(name, refuse, |events| pipeline.accept(events));
        let what = format!("time to refuse a header, {name}, to that of an accepted delivery of 300 B");
        table.figure(&what, ratio, Some(Goal::AtMost(0.5)));
    }

    let delivery = Delivery { signature: v1(8, BOGUS), ..Delivery::filled(1 << 20) };
    let ratio = figures.ratio("forged", |times| pipeline.refuse(&delivery, times), calls(delivery.hmac()));
    let what = "time to refuse 1 MiB under eight forged v1, to that of one bare HMAC";
    table.figure(what, ratio, Some(Goal::AtMost(1.05)));
}

/// Both observers: a recorder that keeps everything, and no subscriber, since what a log costs is
/// its writer's affair.
#[cfg(all(feature = "metrics", feature = "tracing"))]
fn observed(figures: &mut Figures, table: &mut Table, none: &Pipeline) {
    use circa_receiver::{MetricsObserver, TracingObserver};
    use circa_receiver_bench_support::median;

    let recorder = metrics_util::debugging::DebuggingRecorder::new();
    let both = metrics::with_local_recorder(&recorder, || {
        let observed = Receiver::circa(secret()).observer(TracingObserver).observer(MetricsObserver::new());
        Pipeline::full(observed, 1_000)
    });
    let added = figures.median("observed", |events| {
        let turn = |_| (both.accept(32).as_secs_f64() - none.accept(32).as_secs_f64()) / 32.0 * 1e6;
        median((0..events.div_ceil(32)).map(turn))
    });
    let what = "microseconds that both observers add to an accepted delivery of 300 B";
    table.figure(what, added, Some(Goal::AtMost(1.0)));
}

/// The receiver with one typed handler, on a runtime of one thread.
struct Pipeline {
    runtime: Runtime,
    receiver: Receiver,
    routes: Routes<PortableHandler<()>>,
    sent: Cell<u64>,
}

impl Pipeline {
    /// It remembers so many events, and has received so many.
    fn full(receiver: ReceiverBuilder, capacity: u64) -> Self {
        let handler = async |event: Event<DatapointPulled>, (): ()| -> Result<(), HandlerError> {
            black_box(event.data());
            Ok(())
        };
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let receiver = receiver.dedup(MemoryStore::with_capacity(capacity)).build().unwrap();
        let pipeline = Self { runtime, receiver, routes: Routes::new().on(handler), sent: Cell::new(0) };
        for _ in 0..capacity / 1_000 {
            pipeline.accept(1_000);
        }
        pipeline
    }

    /// The time to handle so many fresh events of 300 B.
    fn accept(&self, events: u64) -> Duration {
        let first = self.sent.replace(self.sent.get() + events);
        let deliveries: Vec<Delivery> = (first..first + events).map(|number| Delivery::pulled(number, 300)).collect();
        self.receive(&deliveries, "handled")
    }

    /// The time to refuse a delivery so often.
    fn refuse(&self, delivery: &Delivery, times: u64) -> Duration {
        self.receive((0..times).map(|_| delivery), "unauthorized")
    }

    fn receive<'a>(&self, deliveries: impl IntoIterator<Item = &'a Delivery>, answer: &str) -> Duration {
        let start = Instant::now();
        self.runtime.block_on(async {
            for delivery in deliveries {
                let head = ("POST", &delivery.headers()[..]);
                let response = self.receiver.handle(&head, delivery.body.clone(), &self.routes, ()).await;
                assert_eq!(response.body(), answer);
            }
        });
        start.elapsed()
    }
}
