//! Claims in every store by 1, 16 and 64 callers, beside the round trip to the store's server and a
//! durable commit, which no store can do without.
//!
//! `cargo bench -p circa-receiver --features redis,postgres,sqlite --bench claims`. It starts
//! servers of its own (install `redis-server` and PostgreSQL) in the folder for temporary files,
//! and fails where a goal is missed. See `docs/stores.md`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use circa_receiver::{
    DedupStore, MemoryStore, PostgresStore, RedisStore, SqliteStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, Token},
};
use circa_receiver_bench_support::{Call, Figures, Goal, Table, call, in_turn, rate};
use circa_receiver_test_support::{Folder, postgres::PostgresServer, redis::RedisServer};
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::{Builder, Runtime};

const CALLERS: [u64; 3] = [1, 16, 64];
const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);

type Store = Arc<dyn DedupStore>;

fn main() -> ExitCode {
    let (redis, postgres, folder) = (RedisServer::start(), PostgresServer::start(), Folder::new("claims"));
    let info = redis.cli(&["INFO", "server"]);
    let version = info.lines().find(|line| line.starts_with("redis_version")).unwrap().trim();
    println!("{version}; PostgreSQL {}; SQLite {}", postgres.sql("SHOW server_version"), rusqlite::version());
    println!("files in {}", folder.path().display());
    let mut bench = Bench {
        runtime: Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
        figures: Figures::new("claims", env!("CARGO_TARGET_TMPDIR"), 20, 2.0),
        rates: Table::new(&["calls per second, fresh keys", "1 caller", "16 callers", "64 callers"]),
        goals: Table::new(&["claims", "measured"]),
    };
    let memory: Store = Arc::new(MemoryStore::default());
    bench.rates("MemoryStore, claim + complete", &CALLERS, &calls(&memory, true));
    bench.redis(&redis);
    bench.postgres(&postgres);
    bench.sqlite(&folder);
    // Before the servers, so that no connection misses its own.
    bench.runtime.shutdown_timeout(Duration::from_secs(5));
    let _ = bench.rates.print();
    bench.goals.print()
}

struct Bench {
    runtime: Runtime,
    figures: Figures,
    rates: Table,
    goals: Table,
}

impl Bench {
    fn rates(&mut self, name: &str, callers: &[u64], call: &Call<Key>) {
        let rate = |&callers: &u64| {
            let rate = |calls| rate(&self.runtime, call, fresh, callers, calls);
            let rate = self.figures.median(&format!("{name}, {callers} callers"), rate);
            self.rates.cell(rate, None)
        };
        let mut cells: Vec<String> = callers.iter().map(rate).collect();
        cells.resize(CALLERS.len(), String::new());
        self.rates.row(name, &cells);
    }

    fn goal(&mut self, what: &str, goal: Goal, mut sample: impl FnMut(&Runtime, u64) -> f64) {
        let measured = self.figures.median(what, |calls| sample(&self.runtime, calls));
        let cell = self.goals.cell(measured, Some(goal));
        self.goals.row(what, &[cell]);
    }

    fn redis(&mut self, server: &RedisServer) {
        let (connection, store) = self.runtime.block_on(async {
            // As the store's own connection.
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(150)));
            let client = redis::Client::open(server.url()).unwrap();
            let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
            (connection, Arc::new(RedisStore::connect(&server.url()).await.unwrap()) as Store)
        });
        let ping = call(move |_| {
            let mut connection = connection.clone();
            async move { redis::cmd("PING").query_async::<()>(&mut connection).await.unwrap() }
        });
        let claim = calls(&store, false);
        self.rates("PING", &CALLERS, &ping);
        self.rates("RedisStore, claim", &CALLERS, &claim);
        self.rates("RedisStore, claim + complete", &CALLERS, &calls(&store, true));
        self.goal("Redis, time of a claim, to that of PING", Goal::AtMost(1.5), |runtime, turns| {
            in_turn(runtime, turns, fresh, [&ping, &claim], |[ping, claim]| claim / ping)
        });
    }

    fn postgres(&mut self, server: &PostgresServer) {
        let (pool, store) = self.runtime.block_on(async {
            // As the store's own pool.
            let options = PgPoolOptions::new().max_connections(8).test_before_acquire(false);
            let pool = options.connect(&server.url()).await.unwrap();
            let bare = "CREATE TABLE bare (key bytea PRIMARY KEY, ends timestamptz NOT NULL)";
            sqlx::raw_sql(bare).execute(&pool).await.unwrap();
            let store = PostgresStore::connect_lazy(&server.url()).unwrap();
            store.migrate().await.unwrap();
            (pool, Arc::new(store) as Store)
        });
        let also = pool.clone();
        let select = call(move |_| {
            let pool = also.clone();
            async move {
                sqlx::query("SELECT 1").fetch_one(&pool).await.unwrap();
            }
        });
        let upsert = call(move |key: Key| {
            let pool = pool.clone();
            async move {
                let upsert = "INSERT INTO bare VALUES ($1, clock_timestamp()) ON CONFLICT (key) DO UPDATE SET ends = excluded.ends";
                sqlx::query(upsert).bind(key.as_bytes().to_vec()).execute(&pool).await.unwrap();
            }
        });
        let claim = calls(&store, false);
        self.rates("SELECT 1", &CALLERS, &select);
        self.rates("upsert, committed (PostgreSQL)", &CALLERS, &upsert);
        self.rates("PostgresStore, claim", &CALLERS, &claim);
        self.rates("PostgresStore, claim + complete", &CALLERS, &calls(&store, true));
        let what = "PostgreSQL, time of a claim, to 1.5 SELECT 1 and one upsert";
        self.goal(what, Goal::AtMost(1.0), |runtime, turns| {
            let ratio = |[select, upsert, claim]: [f64; 3]| claim / (1.5 * select + upsert);
            in_turn(runtime, turns, fresh, [&select, &upsert, &claim], ratio)
        });
    }

    fn sqlite(&mut self, folder: &Folder) {
        let connection = rusqlite::Connection::open(folder.path().join("bare.sqlite")).unwrap();
        let bare = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE bare (key BLOB PRIMARY KEY, ends INTEGER NOT NULL)";
        connection.execute_batch(bare).unwrap();
        let connection = Mutex::new(connection);
        let commit = call(move |key: Key| {
            let upsert = "INSERT INTO bare VALUES (?1, 7) ON CONFLICT (key) DO UPDATE SET ends = excluded.ends";
            connection.lock().unwrap().prepare_cached(upsert).unwrap().execute([key.as_bytes()]).unwrap();
            std::future::ready(())
        });
        let store: Store = Arc::new(SqliteStore::open(folder.path().join("claims.sqlite")).unwrap());
        let claim = calls(&store, false);
        // It blocks its thread.
        self.rates("upsert, committed (SQLite)", &CALLERS[..1], &commit);
        self.rates("SqliteStore, claim", &CALLERS, &claim);
        self.rates("SqliteStore, claim + complete", &CALLERS, &calls(&store, true));
        let what = "SQLite, claims per second by 64 callers, to those by one";
        self.goal(what, Goal::AtLeast(10.0), |runtime, calls| {
            rate(runtime, &claim, fresh, 64, calls) / rate(runtime, &claim, fresh, 1, 8 * calls)
        });
    }
}

/// The claim, and what follows when the handler is done.
fn calls(store: &Store, completed: bool) -> Call<Key> {
    let store = Arc::clone(store);
    call(move |key| {
        let store = Arc::clone(&store);
        async move {
            let token = claim(&*store, &key).await;
            if completed {
                assert!(store.complete(&key, token, RETENTION).await.unwrap(), "{key:?} was lost");
            }
        }
    })
}

async fn claim(store: &dyn DedupStore, key: &Key) -> Token {
    let request = ClaimRequest::new(key, Fingerprint::from_bytes([7; 32]), Nonce::new(7), LEASE, RETENTION);
    match store.claim(request).await.unwrap() {
        ClaimAnswer::Won(token) => token,
        other => panic!("{key:?} is fresh: {other:?}"),
    }
}

/// A key as long as those of Circa's events, and in no order, as those are.
fn fresh() -> Key {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    let mixed = unique.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Key::new("circa", &format!("evt_{:016x}{unique:016x}", (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)))
}
