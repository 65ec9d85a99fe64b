//! Claims in every store, beside the round trip to the store's server and a durable commit, which
//! no store can do without.
//!
//! `cargo bench -p circa-receiver --features redis,postgres,sqlite --bench claims`. It starts
//! servers of its own (install `redis-server` and PostgreSQL) in the folder for temporary files,
//! and fails where a goal is missed. See `docs/stores.md`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use circa_receiver::{
    DedupStore, PostgresStore, RedisStore, SqliteStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce},
};
use circa_receiver_bench_support::{Call, Figures, Goal, Table, call, in_turn, rate};
use circa_receiver_test_support::{Folder, postgres::PostgresServer, redis::RedisServer};
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::{Builder, Runtime};

const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);

fn main() -> ExitCode {
    let (redis, postgres, folder) = (RedisServer::start(), PostgresServer::start(), Folder::new("claims"));
    let info = redis.cli(&["INFO", "server"]);
    let version = info.lines().find(|line| line.starts_with("redis_version")).unwrap().trim();
    println!("{version}; PostgreSQL {}; SQLite {}", postgres.sql("SHOW server_version"), rusqlite::version());
    println!("files in {}", folder.path().display());
    let mut bench = Bench {
        runtime: Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
        figures: Figures::new("claims", env!("CARGO_TARGET_TMPDIR"), 20, 2.0),
        table: Table::new(&["claims", "measured"]),
    };
    bench.redis(&redis);
    bench.postgres(&postgres);
    bench.sqlite(&folder);
    // Before the servers, so that no connection misses its own.
    bench.runtime.shutdown_timeout(Duration::from_secs(5));
    bench.table.print()
}

struct Bench {
    runtime: Runtime,
    figures: Figures,
    table: Table,
}

impl Bench {
    fn goal(&mut self, what: &str, goal: Goal, mut sample: impl FnMut(&Runtime, u64) -> f64) {
        let measured = self.figures.median(what, |calls| sample(&self.runtime, calls));
        self.table.figure(what, measured, Some(goal));
    }

    fn redis(&mut self, server: &RedisServer) {
        let (connection, store) = self.runtime.block_on(async {
            // As the store's own connection.
            let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(150)));
            let client = redis::Client::open(server.url()).unwrap();
            let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
            (connection, RedisStore::connect(&server.url()).await.unwrap())
        });
        let ping = call(move |_| {
            let mut connection = connection.clone();
            async move { redis::cmd("PING").query_async::<()>(&mut connection).await.unwrap() }
        });
        let claim = claim(store);
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
            (pool, store)
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
        let claim = claim(store);
        let what = "PostgreSQL, time of a claim, to 1.5 SELECT 1 and one upsert";
        self.goal(what, Goal::AtMost(1.0), |runtime, turns| {
            let ratio = |[select, upsert, claim]: [f64; 3]| claim / (1.5 * select + upsert);
            in_turn(runtime, turns, fresh, [&select, &upsert, &claim], ratio)
        });
    }

    fn sqlite(&mut self, folder: &Folder) {
        let claim = claim(SqliteStore::open(folder.path().join("claims.sqlite")).unwrap());
        let what = "SQLite, claims per second by 64 callers, to those by one";
        self.goal(what, Goal::AtLeast(10.0), |runtime, calls| {
            rate(runtime, &claim, fresh, 64, calls) / rate(runtime, &claim, fresh, 1, 8 * calls)
        });
    }
}

/// Claims a fresh key.
fn claim(store: impl DedupStore) -> Call<Key> {
    let store = Arc::new(store);
    call(move |key| {
        let store = Arc::clone(&store);
        async move {
            let request = ClaimRequest::new(&key, Fingerprint::from_bytes([7; 32]), Nonce::new(7), LEASE, RETENTION);
            let answer = store.claim(request).await.unwrap();
            assert!(matches!(answer, ClaimAnswer::Won(_)), "{key:?} is fresh: {answer:?}");
        }
    })
}

/// A key as long as those of Circa's events, and in no order, as those are.
fn fresh() -> Key {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    let mixed = unique.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Key::new("circa", &format!("evt_{:016x}{unique:016x}", (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9)))
}
