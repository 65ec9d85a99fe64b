//! The inboxes beside what their engines do by themselves: a durable insert, and a loop that leases
//! rows and completes them. And what one PostgreSQL does for several replicas.
//!
//! `cargo bench -p circa-receiver --features postgres,sqlite --bench inbox`. It starts a server of
//! its own (install PostgreSQL) in the folder for temporary files, and fails where a goal is
//! missed. See `docs/performance.md` and `docs/scale.md`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

mod engines;
mod replicas;

use std::{
    process::{Command, ExitCode},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use circa_receiver::{
    AnyEvent, HandlerError, Inbox, Routes, Sender, Worker,
    dedup::Nonce,
    inbox::{AcceptRequest, Accepted, Entry},
};
use circa_receiver_bench_support::{Call, Delivery, Figures, Goal, Table, call, in_turn, rate};
use circa_receiver_test_support::{Folder, postgres::PostgresServer};
use tokio::runtime::{Builder, Runtime};

use engines::Engine;

const CALLERS: u64 = 64;

fn main() -> ExitCode {
    let (server, folder, runtime) = (PostgresServer::start(), Folder::new("inbox"), runtime());
    println!("PostgreSQL {}; SQLite {}", server.sql("SHOW server_version"), rusqlite::version());
    println!("files in {}", folder.path().display());
    let engines = [engines::sqlite(&folder, &runtime), engines::postgres(&server, &runtime)];
    // The million events are not flushed yet: the flushes that are measured would wait for them.
    server.sql("CHECKPOINT");
    assert!(Command::new("sync").status().unwrap().success());
    let mut bench = Bench {
        runtime,
        figures: Figures::new("inbox", env!("CARGO_TARGET_TMPDIR"), 10, 3.0),
        table: Table::new(&["the inbox", "SQLite", "PostgreSQL"]),
    };
    bench.compare(&engines);
    // Before the server, so that no connection misses it.
    drop(engines);
    bench.runtime.shutdown_timeout(Duration::from_secs(5));
    let (cost, scale) = (replicas::cost(&server), replicas::scale(&server));
    let codes = [bench.table.print(), cost.print(), scale.print()];
    if codes.contains(&ExitCode::FAILURE) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

struct Bench {
    runtime: Runtime,
    figures: Figures,
    table: Table,
}

impl Bench {
    fn compare(&mut self, engines: &[Engine; 2]) {
        let what = "time to accept, to that of a bare durable insert";
        self.row(engines, what, Goal::AtMost(1.5), |runtime, engine, turns| {
            let accept = accept(&engine.inbox);
            in_turn(runtime, turns, fresh, [&engine.insert, &accept], |[insert, accept]| accept / insert)
        });
        let what = "accepts by 64 callers, to bare inserts";
        self.row(engines, what, Goal::AtLeast(0.7), |runtime, engine, calls| {
            let accepts = rate(runtime, &accept(&engine.inbox), fresh, CALLERS, calls);
            accepts / rate(runtime, &engine.insert, fresh, CALLERS, calls)
        });
        // What was accepted above.
        for engine in engines {
            self.runtime.block_on((engine.run_all)(()));
            self.runtime.block_on(worker(&engine.inbox).drain()).unwrap();
        }
        let what = "runs that do nothing, to a bare loop";
        self.row(engines, what, Goal::AtLeast(0.5), |runtime, engine, calls| {
            rate(runtime, &engine.insert, fresh, CALLERS, calls);
            let start = Instant::now();
            runtime.block_on((engine.run_all)(()));
            let bare = start.elapsed().as_secs_f64();
            rate(runtime, &accept(&engine.inbox), fresh, CALLERS, calls);
            bare / run_all(runtime, &engine.inbox, CALLERS * calls)
        });
        let what = "with 1,000,000 done events, to with few";
        self.row(engines, what, Goal::AtLeast(0.9), |runtime, engine, calls| {
            let seconds = |inbox| {
                let accepts = rate(runtime, &accept(inbox), fresh, CALLERS, calls);
                (CALLERS * calls) as f64 / accepts + run_all(runtime, inbox, CALLERS * calls)
            };
            seconds(&engine.inbox) / seconds(&engine.filled)
        });
    }

    fn row(&mut self, engines: &[Engine; 2], what: &str, goal: Goal, sample: fn(&Runtime, &Engine, u64) -> f64) {
        let cells = engines.each_ref().map(|engine| {
            let id = format!("{}, {what}", engine.name);
            let measured = self.figures.median(&id, |calls| sample(&self.runtime, engine, calls));
            self.table.cell(measured, Some(goal))
        });
        self.table.row(what, &cells);
    }
}

fn fresh() -> Entry {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let Delivery { id, body, .. } = Delivery::pulled(NEXT.fetch_add(1, Ordering::Relaxed), 300);
    Entry::from_parts("circa", id, "datapoint.pulled", r#"{"sender":"circa"}"#, body)
}

fn accept(inbox: &Arc<dyn Inbox>) -> Call<Entry> {
    let inbox = Arc::clone(inbox);
    call(move |entry| {
        let inbox = Arc::clone(&inbox);
        async move {
            let answer = inbox.accept(AcceptRequest::new(entry, Nonce::new(7))).await.unwrap();
            assert_eq!(answer, Accepted::New);
        }
    })
}

/// Runs what is ready, and gives the seconds that it took.
fn run_all(runtime: &Runtime, inbox: &Arc<dyn Inbox>, expected: u64) -> f64 {
    let worker = worker(inbox);
    let start = Instant::now();
    assert_eq!(runtime.block_on(worker.drain()).unwrap() as u64, expected);
    start.elapsed().as_secs_f64()
}

/// A worker with the default settings whose handler does nothing.
fn worker(inbox: &Arc<dyn Inbox>) -> Worker {
    async fn nothing(_: AnyEvent, (): ()) -> Result<(), HandlerError> {
        Ok(())
    }
    let routes = Routes::new().fallback(nothing);
    let worker = Worker::builder(Arc::clone(inbox)).endpoint("circa", Sender::CIRCA, routes, ());
    worker.build().unwrap()
}
