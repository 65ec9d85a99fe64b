//! Claims in Redis and PostgreSQL beside what no store can do without there, a round trip and a
//! durable commit; in SQLite, those of many callers beside those of one.
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
use circa_receiver_bench_support::{Call, Figures, Goal, Table, call, in_turn, runtime, time};
use circa_receiver_test_support::{Folder, postgres::PostgresServer, redis::RedisServer};
use sqlx::postgres::PgPoolOptions;

const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);

fn main() -> ExitCode {
    let mut figures = Figures::new("claims", env!("CARGO_TARGET_TMPDIR"), 20, 2.0);
    let mut table = Table::new(&["claims", "measured"]);
    table.figure("Redis, time of a claim, to that of PING", redis(&mut figures), Some(Goal::AtMost(1.5)));
    let what = "PostgreSQL, time of a claim, to 1.5 SELECT 1 and one upsert";
    table.figure(what, postgres(&mut figures), Some(Goal::AtMost(1.0)));
    let what = "SQLite, claims per second by 64 callers, to those by one";
    table.figure(what, sqlite(&mut figures), Some(Goal::AtLeast(10.0)));
    table.print()
}

fn redis(figures: &mut Figures) -> Option<f64> {
    let (server, runtime) = (RedisServer::start(), runtime());
    let info = server.cli(&["INFO", "server"]);
    println!("{}", info.lines().find(|line| line.starts_with("redis_version")).unwrap());
    let (connection, store) = runtime.block_on(async {
        // As the store's own connection.
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(150)));
        let client = redis::Client::open(server.url()).unwrap();
        let connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        (connection, RedisStore::connect(&server.url()).await.unwrap())
    });
    let ping = call(connection, |mut connection, _| async move {
        redis::cmd("PING").query_async::<()>(&mut connection).await.unwrap();
    });
    let claim = claim(store);
    let ratio = |[ping, claim]: [Duration; 2]| claim.div_duration_f64(ping);
    figures.median("Redis", |turns| in_turn(&runtime, turns, fresh, [&ping, &claim], ratio))
}

fn postgres(figures: &mut Figures) -> Option<f64> {
    let (server, runtime) = (PostgresServer::start(), runtime());
    println!("PostgreSQL {}", server.sql("SHOW server_version"));
    server.sql("CREATE TABLE bare (key bytea PRIMARY KEY, ends timestamptz NOT NULL)");
    // As the store's own pool.
    let options = PgPoolOptions::new().max_connections(8).test_before_acquire(false);
    let pool = runtime.block_on(options.connect(&server.url())).unwrap();
    let store = PostgresStore::connect_lazy(&server.url()).unwrap();
    runtime.block_on(store.migrate()).unwrap();
    let select = call(pool.clone(), |pool, _| async move {
        sqlx::query("SELECT 1").fetch_one(&pool).await.unwrap();
    });
    let upsert = call(pool, |pool, key: Key| async move {
        let upsert = sqlx::query("INSERT INTO bare VALUES ($1, now()) ON CONFLICT (key) DO UPDATE SET ends = now()");
        upsert.bind(key.as_bytes().to_vec()).execute(&pool).await.unwrap();
    });
    let claim = claim(store);
    let ratio = |[select, upsert, claim]: [Duration; 3]| claim.div_duration_f64(select.mul_f64(1.5) + upsert);
    figures.median("PostgreSQL", |turns| in_turn(&runtime, turns, fresh, [&select, &upsert, &claim], ratio))
}

fn sqlite(figures: &mut Figures) -> Option<f64> {
    let (folder, runtime) = (Folder::new("claims"), runtime());
    println!("SQLite {} in {}", rusqlite::version(), folder.path().display());
    let claim = claim(SqliteStore::open(folder.path().join("claims.sqlite")).unwrap());
    figures.median("SQLite", |calls| {
        let by_64 = time(&runtime, &claim, fresh, 64, calls);
        // An eighth of their calls.
        let by_one = time(&runtime, &claim, fresh, 1, 8 * calls);
        8.0 * by_one.div_duration_f64(by_64)
    })
}

/// Claims a fresh key.
fn claim(store: impl DedupStore) -> Call<Key> {
    call(Arc::new(store), |store, key| async move {
        let request = ClaimRequest::new(&key, Fingerprint::from_bytes([7; 32]), Nonce::new(7), LEASE, RETENTION);
        let answer = store.claim(request).await.unwrap();
        assert!(matches!(answer, ClaimAnswer::Won(_)), "{key:?} is fresh: {answer:?}");
    })
}

/// A key as long as those of Circa's events, and in no order, as those are.
fn fresh() -> Key {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Key::new("circa", &format!("evt_{unique:016x}{unique:016x}"))
}
