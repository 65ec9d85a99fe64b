//! Several replicas on one PostgreSQL, each with a receiver's accepts, a worker, and a runtime and a
//! pool of its own.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use circa_receiver::{Inbox, PostgresInbox};
use circa_receiver_bench_support::{Goal, Table, median, rounded, runtime, time};
use circa_receiver_test_support::postgres::PostgresServer;
use tokio::runtime::Runtime;

use crate::{CALLERS, accept, fresh, worker};

/// What all replicas together accept, by [`CALLERS`] callers, and run.
const EVENTS: u64 = 12_800;
const ROUNDS: usize = 3;

/// The rates of 1, 2 and 4 replicas.
pub(crate) fn scale(server: &PostgresServer) -> Table {
    let mut table = Table::new(&["replicas", "accepts and runs per second", "to one replica"]);
    let mut of_one = None;
    for replicas in [1, 2, 4] {
        let rate = median((0..ROUNDS).map(|_| round(server, replicas)));
        let goal = (replicas == 2).then_some(Goal::AtLeast(1.5));
        let to_one = table.cell(Some(rate / *of_one.get_or_insert(rate)), goal);
        table.row(&replicas.to_string(), &[rounded(rate), to_one]);
    }
    table
}

/// What one event costs the server: bytes of its log, bytes on its disk, and transactions that
/// write.
pub(crate) fn cost(server: &PostgresServer) -> Table {
    let asked = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint || ' ' ||
        coalesce((SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'circa\\_receiver%'
            AND relnamespace = 'public'::regnamespace), 0) || ' ' || pg_snapshot_xmax(pg_current_snapshot())";
    let now = || -> Vec<f64> { server.sql(asked).split(' ').map(|value| value.parse().unwrap()).collect() };
    let before = now();
    round(server, 1);
    let mut table = Table::new(&["one event of 300 B", "PostgreSQL"]);
    let what = ["bytes of the write-ahead log", "bytes on the disk, with indexes", "transactions that write"];
    for (what, (before, after)) in what.iter().zip(before.into_iter().zip(now())) {
        table.figure(what, Some((after - before) / EVENTS as f64), None);
    }
    table
}

/// Events per second until all were accepted and run.
fn round(server: &PostgresServer, replicas: u64) -> f64 {
    let replica = |_| {
        let (runtime, inbox) = (runtime(), PostgresInbox::connect_lazy(&server.url()).unwrap());
        runtime.block_on(inbox.migrate()).unwrap();
        (Arc::new(inbox) as Arc<dyn Inbox>, runtime)
    };
    let all: Vec<_> = (0..replicas).map(replica).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for (inbox, runtime) in &all {
            scope.spawn(move || accept_and_run(inbox, runtime, CALLERS / replicas));
        }
    });
    EVENTS as f64 / start.elapsed().as_secs_f64()
}

/// Ends when nothing is left to run.
fn accept_and_run(inbox: &Arc<dyn Inbox>, runtime: &Runtime, callers: u64) {
    runtime.spawn(worker(inbox).run());
    time(runtime, &accept(inbox), fresh, callers, EVENTS / CALLERS);
    loop {
        let stats = runtime.block_on(inbox.stats("circa")).unwrap();
        if stats.ready + stats.running == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
