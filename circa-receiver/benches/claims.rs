//! Claims in every store, by 1, 16 and 64 callers, beside what no store can do without: the round trip to its server, and one durable commit.
//!
//! `cargo bench -p circa-receiver --features redis,postgres,sqlite --bench claims`. It starts servers of its own (`redis-server` and PostgreSQL must be
//! installed), all on the disk of the folder for temporary files, and exits non-zero where a promise is missed. See `docs/stores.md`.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::incompatible_msrv)]

#[path = "measure/callers.rs"]
mod callers;
mod measure;

use std::{
    fs,
    io::Write,
    process::ExitCode,
    sync::{Arc, Mutex},
    time::Duration,
};

use circa_receiver::{
    DedupStore, PostgresStore, RedisStore, SqliteStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, Token},
};
use sqlx::postgres::PgPoolOptions;
use tokio::runtime::{Builder, Runtime};

use callers::{Candidate, Measured, compare, in_turn};
use circa_receiver_test_support::{Folder, postgres::PostgresServer, redis::RedisServer};
use measure::{
    promise::{Promise, judge},
    rounds::median,
    stores::{DEFAULT_CAPACITY, STORES},
    table::Table,
};

/// Of the rounds.
const BUDGET: Duration = Duration::from_secs(100);
const CALLERS: [usize; 3] = [1, 16, 64];

const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);

const PING: &str = "PING";
const SELECT: &str = "SELECT 1";
const UPSERT: &str = "upsert, committed (PostgreSQL)";
const COMMIT: &str = "upsert, committed (SQLite)";
const FSYNC: &str = "write 4 KiB, fdatasync";

fn main() -> ExitCode {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (redis, postgres, folder) = (RedisServer::start(), PostgresServer::start(), Folder::new("claims"));
    describe(&redis, &postgres, &folder);

    let mut candidates = in_memory();
    candidates.extend(runtime.block_on(of_redis(&redis)));
    candidates.extend(runtime.block_on(of_postgres(&postgres)));
    candidates.extend(of_sqlite(&folder));
    let measured = compare(&runtime, &candidates, &CALLERS, BUDGET);
    let redis_ratio = redis_to_ping(&runtime, &redis);
    drop(candidates);
    // Before the servers, so that nobody misses them.
    runtime.shutdown_timeout(Duration::from_secs(5));

    table(&measured).print();
    judge(&promises(&measured, redis_ratio))
}

fn describe(redis: &RedisServer, postgres: &PostgresServer, folder: &Folder) {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("unknown");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let info = redis.cli(&["INFO", "server"]);
    let redis = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown").trim();
    println!("machine     {cores} cores, {cpu}; Linux {}", kernel.trim());
    println!("disk        {}, on {}", folder.path().display(), file_system(folder));
    println!(
        "servers     Redis {redis}, nothing on disk; PostgreSQL {}, fsync on",
        postgres.sql("SHOW server_version")
    );
    println!("in process  SQLite {}, WAL, synchronous=FULL; 2 worker threads for the callers", rusqlite::version());
}

/// Device and type of the file system of a folder.
fn file_system(folder: &Folder) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        Some((fields.next()?, fields.next()?, fields.next()?))
    });
    let holding = mounts.filter(|(_, at, _)| folder.path().starts_with(at)).max_by_key(|(_, at, _)| at.len());
    holding.map_or_else(|| "an unknown file system".to_owned(), |(device, _, kind)| format!("{device} ({kind})"))
}

/// The claim alone, and the claim with what follows when the handler is done.
fn of_store(
    name: &str,
    floor: &'static str,
    start: impl Fn() -> Arc<dyn DedupStore> + Clone + 'static,
) -> [Candidate; 2] {
    let also = start.clone();
    [
        Candidate::new(&format!("{name}, claim"), floor, move || {
            let store = start();
            move |key| {
                let store = Arc::clone(&store);
                async move {
                    claim(&*store, &key).await;
                }
            }
        }),
        Candidate::new(&format!("{name}, claim + complete"), floor, move || {
            let store = also();
            move |key| {
                let store = Arc::clone(&store);
                async move {
                    let token = claim(&*store, &key).await;
                    assert!(complete(&*store, &key, token).await, "{key:?} was lost");
                }
            }
        }),
    ]
}

/// As a receiver calls a store: directly where it answers at once.
async fn claim(store: &dyn DedupStore, key: &Key) -> Token {
    let request = ClaimRequest::new(key, Fingerprint::from_bytes([7; 32]), Nonce(7), LEASE, RETENTION);
    let answer = match store.in_process() {
        Some(store) => store.claim(request),
        None => store.claim(request).await.unwrap(),
    };
    match answer {
        ClaimAnswer::Won(token) => token,
        other => panic!("{key:?} is fresh: {other:?}"),
    }
}

async fn complete(store: &dyn DedupStore, key: &Key, token: Token) -> bool {
    match store.in_process() {
        Some(store) => store.complete(key, token, RETENTION),
        None => store.complete(key, token, RETENTION).await.unwrap(),
    }
}

/// New and empty for every slice: claims that are not completed stay.
fn in_memory() -> Vec<Candidate> {
    STORES.iter().flat_map(|&(name, make)| of_store(name, "", move || make(DEFAULT_CAPACITY))).collect()
}

/// As the store's own connection.
async fn connect(server: &RedisServer) -> redis::aio::MultiplexedConnection {
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_millis(150)));
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection_with_config(&config).await.unwrap()
}

async fn of_redis(server: &RedisServer) -> Vec<Candidate> {
    let connection = connect(server).await;
    let ping = Candidate::new(PING, PING, move || {
        let connection = connection.clone();
        move |_| {
            let mut connection = connection.clone();
            async move { redis::cmd("PING").query_async::<()>(&mut connection).await.unwrap() }
        }
    });
    let store: Arc<dyn DedupStore> = Arc::new(RedisStore::connect(&server.url()).await.unwrap());
    [ping].into_iter().chain(of_store("RedisStore", PING, move || Arc::clone(&store))).collect()
}

fn redis_to_ping(runtime: &Runtime, server: &RedisServer) -> f64 {
    let (connection, store) = runtime.block_on(async {
        let store: Arc<dyn DedupStore> = Arc::new(RedisStore::connect(&server.url()).await.unwrap());
        (connect(server).await, store)
    });
    let ping = move |_| {
        let mut connection = connection.clone();
        async move { redis::cmd("PING").query_async::<()>(&mut connection).await.unwrap() }
    };
    let claim = move |key| {
        let store = Arc::clone(&store);
        async move {
            claim(&*store, &key).await;
        }
    };
    in_turn(runtime, ping, claim)
}

async fn of_postgres(server: &PostgresServer) -> Vec<Candidate> {
    // As the store's own pool.
    let options = PgPoolOptions::new().max_connections(8).test_before_acquire(false);
    let pool = options.connect(&server.url()).await.unwrap();
    sqlx::raw_sql("CREATE TABLE bare (key bytea PRIMARY KEY, ends timestamptz NOT NULL)").execute(&pool).await.unwrap();
    let asked = pool.clone();
    let select = Candidate::new(SELECT, UPSERT, move || {
        let pool = asked.clone();
        move |_| {
            let pool = pool.clone();
            async move {
                sqlx::query("SELECT 1").fetch_one(&pool).await.unwrap();
            }
        }
    });
    let upsert = Candidate::new(UPSERT, UPSERT, move || {
        let pool = pool.clone();
        move |key| {
            let pool = pool.clone();
            async move {
                let upsert = "INSERT INTO bare VALUES ($1, clock_timestamp()) ON CONFLICT (key) DO UPDATE SET ends = excluded.ends";
                sqlx::query(upsert).bind(key.as_bytes()).execute(&pool).await.unwrap();
            }
        }
    });
    let store = PostgresStore::connect(&server.url()).unwrap();
    store.migrate().await.unwrap();
    let store: Arc<dyn DedupStore> = Arc::new(store);
    [select, upsert].into_iter().chain(of_store("PostgresStore", UPSERT, move || Arc::clone(&store))).collect()
}

fn of_sqlite(folder: &Folder) -> Vec<Candidate> {
    let file = Arc::new(fs::File::create(folder.path().join("bare")).unwrap());
    let fsync = Candidate::new(FSYNC, COMMIT, move || {
        let file = Arc::clone(&file);
        move |_| {
            (&*file).write_all(&[7; 4_096]).unwrap();
            file.sync_data().unwrap();
            std::future::ready(())
        }
    });
    let connection = rusqlite::Connection::open(folder.path().join("bare.sqlite")).unwrap();
    let prepare = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE bare (key BLOB PRIMARY KEY, ends INTEGER NOT NULL)";
    connection.execute_batch(prepare).unwrap();
    let connection = Arc::new(Mutex::new(connection));
    let commit = Candidate::new(COMMIT, COMMIT, move || {
        let connection = Arc::clone(&connection);
        move |key| {
            let connection = connection.lock().unwrap();
            let upsert = "INSERT INTO bare VALUES (?1, 7) ON CONFLICT (key) DO UPDATE SET ends = excluded.ends";
            connection.prepare_cached(upsert).unwrap().execute([key.as_bytes()]).unwrap();
            std::future::ready(())
        }
    });
    let store: Arc<dyn DedupStore> = Arc::new(SqliteStore::open(folder.path().join("claims.sqlite")).unwrap());
    let store = of_store("SqliteStore", COMMIT, move || Arc::clone(&store));
    [fsync.alone(), commit.alone()].into_iter().chain(store).collect()
}

fn table(measured: &[Measured]) -> Table {
    let mut table = Table::new(
        "Fresh keys; min and median: p50 to that of the same server's PING or committed upsert",
        &["callers", "candidate", "calls/s", "p50 us", "p99 us", "min", "median"],
    );
    for row in measured {
        let ratio = |ratio: f64| if ratio.is_nan() { "".into() } else { format!("{ratio:.2}").into() };
        let figures = [row.per_second.round(), row.p50, row.p99].map(Into::into);
        let names = [row.callers.to_string().into(), row.name.as_str().into()];
        table.row(names.into_iter().chain(figures).chain([ratio(row.min), ratio(row.median)]));
    }
    table
}

fn promises(measured: &[Measured], redis: f64) -> Vec<Promise> {
    let find = |name: &str, callers| {
        measured.iter().find(|row| row.name == name && row.callers == callers).map(|row| &row.rounds).unwrap()
    };
    let (claim, select, upsert) = (find("PostgresStore, claim", 1), find(SELECT, 1), find(UPSERT, 1));
    let bound = |at: usize| 1.5 * select[at].p50 + upsert[at].p50;
    let postgres = (0..claim.len()).map(|at| claim[at].p50 / bound(at));
    let ratio = |above: &[callers::Round], below: &[callers::Round], of: fn(&callers::Round) -> f64| {
        median(above.iter().zip(below).map(|(above, below)| of(above) / of(below)))
    };
    let sqlite = ratio(find("SqliteStore, claim", 64), find("SqliteStore, claim", 1), |round| round.per_second);
    vec![
        Promise::at_most("Redis, 1 caller: p50 of a claim to PING's, call by call", 1.5, redis),
        Promise::at_most("PostgreSQL, 1 caller: p50 of a claim to 1.5 SELECT 1 and one upsert", 1.0, median(postgres)),
        Promise::at_least("SQLite: claims per second by 64 callers to those by one", 10.0, sqlite),
    ]
}
