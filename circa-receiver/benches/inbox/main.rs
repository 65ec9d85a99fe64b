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
use circa_receiver_bench_support::{Call, Delivery, Figures, Goal, Table, call, in_turn, runtime, time};
use circa_receiver_test_support::{Folder, postgres::PostgresServer};
use tokio::runtime::Runtime;

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
    let compared = compare(&runtime, &engines);
    // Before the server, so that no connection misses it.
    drop(engines);
    runtime.shutdown_timeout(Duration::from_secs(5));
    let codes = [compared, replicas::cost(&server), replicas::scale(&server)].map(Table::print);
    if codes.contains(&ExitCode::FAILURE) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Each engine's inbox beside the engine itself.
fn compare(runtime: &Runtime, engines: &[Engine; 2]) -> Table {
    let mut figures = Figures::new("inbox", env!("CARGO_TARGET_TMPDIR"), 10, 3.0);
    let mut table = Table::new(&["the inbox", "SQLite", "PostgreSQL"]);
    let mut row = |what: &str, goal: Goal, sample: &dyn Fn(&Engine, u64) -> f64| {
        let cells = engines.each_ref().map(|engine| {
            let measured = figures.median(&format!("{}, {what}", engine.name), |calls| sample(engine, calls));
            table.cell(measured, Some(goal))
        });
        table.row(what, &cells);
    };
    let many = |call: &Call<Entry>, calls: u64| time(runtime, call, fresh, CALLERS, calls);

    row("time to accept, to that of a bare durable insert", Goal::AtMost(1.5), &|engine, turns| {
        let accept = accept(&engine.inbox);
        let ratio = |[insert, accept]: [Duration; 2]| accept.div_duration_f64(insert);
        in_turn(runtime, turns, fresh, [&engine.insert, &accept], ratio)
    });
    row("accepts by 64 callers, to bare inserts", Goal::AtLeast(0.7), &|engine, calls| {
        let accepts = many(&accept(&engine.inbox), calls);
        many(&engine.insert, calls).div_duration_f64(accepts)
    });
    // What was accepted above.
    for engine in engines {
        (engine.run_all)(runtime);
        runtime.block_on(worker(&engine.inbox).drain()).unwrap();
    }
    row("runs that do nothing, to a bare loop", Goal::AtLeast(0.5), &|engine, calls| {
        many(&engine.insert, calls);
        let start = Instant::now();
        (engine.run_all)(runtime);
        let bare = start.elapsed();
        many(&accept(&engine.inbox), calls);
        bare.div_duration_f64(run_all(runtime, &engine.inbox, CALLERS * calls))
    });
    row("with 1,000,000 done events, to with few", Goal::AtLeast(0.9), &|engine, calls| {
        let time = |inbox| many(&accept(inbox), calls) + run_all(runtime, inbox, CALLERS * calls);
        time(&engine.inbox).div_duration_f64(time(&engine.filled))
    });
    table
}

fn fresh() -> Entry {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let Delivery { id, body, .. } = Delivery::pulled(NEXT.fetch_add(1, Ordering::Relaxed), 300);
    Entry::from_parts("circa", id, "datapoint.pulled", r#"{"sender":"circa"}"#, body)
}

fn accept(inbox: &Arc<dyn Inbox>) -> Call<Entry> {
    call(Arc::clone(inbox), |inbox, entry| async move {
        let answer = inbox.accept(AcceptRequest::new(entry, Nonce::new(7))).await.unwrap();
        assert_eq!(answer, Accepted::New);
    })
}

/// Runs what is ready, and gives the time that it took.
fn run_all(runtime: &Runtime, inbox: &Arc<dyn Inbox>, expected: u64) -> Duration {
    let worker = worker(inbox);
    let start = Instant::now();
    assert_eq!(runtime.block_on(worker.drain()).unwrap() as u64, expected);
    start.elapsed()
}

/// A worker with the default settings whose handler does nothing.
fn worker(inbox: &Arc<dyn Inbox>) -> Worker {
    let nothing = async |_: AnyEvent, (): ()| -> Result<(), HandlerError> { Ok(()) };
    let routes = Routes::new().fallback(nothing);
    Worker::builder(Arc::clone(inbox)).endpoint("circa", Sender::CIRCA, routes, ()).build().unwrap()
}
