//! Several processes on one PostgreSQL, each with a receiver's accepts and a worker.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use circa_receiver::{Inbox, PostgresInbox};
use circa_receiver_bench_support::{Goal, Table, median, rounded};
use circa_receiver_test_support::postgres::PostgresServer;
use tokio::task::JoinSet;

use crate::{accept, fresh, worker};

/// What all processes accept and run together.
const EVENTS: usize = 12_000;
/// Of all processes together.
const CALLERS: usize = 64;
const ROUNDS: usize = 3;
/// Its value is the server's URL.
const URL: &str = "INBOX_BENCH_URL";
/// Its value is how many processes there are.
const PROCESSES: &str = "INBOX_BENCH_PROCESSES";

/// What one of the processes does.
pub(crate) struct Share {
    url: String,
    processes: usize,
}

impl Share {
    /// In a process that [`measure`] started.
    pub(crate) fn from_env() -> Option<Self> {
        let processes = env::var(PROCESSES).ok()?.parse().unwrap();
        Some(Self { url: env::var(URL).unwrap(), processes })
    }

    /// Says a line when it can begin, and begins at a line; says one when all is accepted, and ends
    /// when nothing is left to run.
    pub(crate) async fn run(self) {
        let inbox = PostgresInbox::connect_lazy(&self.url).unwrap();
        inbox.migrate().await.unwrap();
        let inbox: Arc<dyn Inbox> = Arc::new(inbox);
        println!("ready");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        tokio::spawn(worker(&inbox).run());
        let mut callers = JoinSet::new();
        for _ in 0..CALLERS / self.processes {
            let accept = accept(&inbox);
            callers.spawn(async move {
                for _ in 0..EVENTS / CALLERS {
                    accept(fresh()).await;
                }
            });
        }
        callers.join_all().await;
        println!("accepted");
        loop {
            let stats = inbox.stats("circa").await.unwrap();
            if stats.ready + stats.running == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The rates of 1, 2 and 4 processes.
pub(crate) fn measure(server: &PostgresServer) -> Table {
    let mut table = Table::new(&["processes", "accepts per second", "accepts and runs per second", "to one process"]);
    let mut of_one = None;
    for processes in [1, 2, 4] {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round(server, processes)).collect();
        let accepts = median(rounds.iter().map(|(accepts, _)| *accepts));
        let all = median(rounds.iter().map(|(_, all)| *all));
        let of_one = *of_one.get_or_insert(all);
        let goal = (processes == 2).then_some(Goal::AtLeast(1.5));
        let cells = [rounded(accepts), rounded(all), table.cell(Some(all / of_one), goal)];
        table.row(&processes.to_string(), &cells);
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
        table.row(what, &[rounded((after - before) / EVENTS as f64)]);
    }
    table
}

/// Events per second until all were accepted, and until all were run.
fn round(server: &PostgresServer, processes: usize) -> (f64, f64) {
    let mut all: Vec<_> = (0..processes).map(|_| start(server, processes)).collect();
    all.iter_mut().for_each(|(_, lines)| line(lines, "ready"));
    let start = Instant::now();
    all.iter_mut().for_each(|(child, _)| child.stdin.take().unwrap().write_all(b"\n").unwrap());
    all.iter_mut().for_each(|(_, lines)| line(lines, "accepted"));
    let accepted = start.elapsed().as_secs_f64();
    all.iter_mut().for_each(|(child, _)| assert!(child.wait().unwrap().success()));
    (EVENTS as f64 / accepted, EVENTS as f64 / start.elapsed().as_secs_f64())
}

fn start(server: &PostgresServer, processes: usize) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env::current_exe().unwrap())
        .env(URL, server.url())
        .env(PROCESSES, processes.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

fn line(lines: &mut BufReader<ChildStdout>, expected: &str) {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), expected);
}
