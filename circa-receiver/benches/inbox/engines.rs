//! The engines: an inbox with few events, one that remembers many, and bare tables.

use std::sync::{Arc, Mutex};

use circa_receiver::{Inbox, PostgresInbox, SqliteInbox, inbox::Entry};
use circa_receiver_bench_support::{Call, call, time};
use circa_receiver_test_support::{Folder, postgres::PostgresServer};
use rusqlite::{Connection, params};
use sqlx::{PgPool, Row, postgres::PgPoolOptions};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{accept, fresh, run_all};

/// As the worker's default concurrency.
const BATCH: i64 = 16;

pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) inbox: Arc<dyn Inbox>,
    /// Remembers 1,000,000 events that are done.
    pub(crate) filled: Arc<dyn Inbox>,
    /// Keeps an entry in a bare table, durably.
    pub(crate) insert: Call<Entry>,
    /// Leases the bare rows in batches, and completes each.
    pub(crate) run_all: Box<dyn Fn(&Runtime)>,
}

pub(crate) fn sqlite(folder: &Folder, runtime: &Runtime) -> Engine {
    let file = |name: &str| folder.path().join(name);
    let inbox = Arc::new(SqliteInbox::open(file("inbox.sqlite")).unwrap());
    let filled: Arc<dyn Inbox> = Arc::new(SqliteInbox::open(file("filled.sqlite")).unwrap());
    have_one_done(runtime, &filled);
    let copies = Connection::open(file("filled.sqlite")).unwrap();
    copies
        .execute_batch(
            "PRAGMA synchronous = OFF; BEGIN IMMEDIATE;
             INSERT INTO claims (key, hash, fingerprint, holder, ends)
                WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers LIMIT 1000000)
                SELECT randomblob(16), random(), fingerprint, holder, ends FROM claims, numbers;
             INSERT INTO inbox (id, endpoint, type, event, state, due, token, attempts, postponed, arrived, nonce)
                SELECT claims.token, endpoint, type, event || claims.token, state, due, one.token, attempts, postponed, arrived, nonce
                FROM claims, inbox AS one WHERE claims.token <> one.id;
             INSERT INTO inbox_bodies (id, details, body)
                SELECT inbox.id, details, body FROM inbox, inbox_bodies AS one WHERE inbox.id <> one.id;
             COMMIT",
        )
        .unwrap();

    let bare = Connection::open(file("bare.sqlite")).unwrap();
    bare.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE bare (key BLOB PRIMARY KEY, state INTEGER NOT NULL, details TEXT NOT NULL, body BLOB NOT NULL);
         CREATE INDEX bare_ready ON bare (state) WHERE state = 0",
    )
    .unwrap();
    let bare = Arc::new(Mutex::new(bare));
    let insert = call(Arc::clone(&bare), |bare, entry: Entry| {
        let bare = bare.lock().unwrap();
        let mut insert = bare.prepare_cached("INSERT INTO bare VALUES (?1, 0, ?2, ?3)").unwrap();
        insert.execute(params![entry.key().as_bytes(), entry.details(), &entry.body()[..]]).unwrap();
        std::future::ready(())
    });
    let run_all = Box::new(move |_: &Runtime| run_bare(&bare.lock().unwrap()));
    Engine { name: "SQLite", inbox, filled, insert, run_all }
}

fn run_bare(bare: &Connection) {
    let lease =
        "UPDATE bare SET state = 1 WHERE key IN (SELECT key FROM bare WHERE state = 0 LIMIT ?1) RETURNING key, body";
    let mut lease = bare.prepare_cached(lease).unwrap();
    let mut complete = bare.prepare_cached("UPDATE bare SET state = 2 WHERE key = ?1").unwrap();
    loop {
        let rows = lease.query_map([BATCH], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let rows: Vec<(Vec<u8>, Vec<u8>)> = rows.collect::<Result<_, _>>().unwrap();
        if rows.is_empty() {
            return;
        }
        for (key, _body) in rows {
            complete.execute([key]).unwrap();
        }
    }
}

pub(crate) fn postgres(server: &PostgresServer, runtime: &Runtime) -> Engine {
    let open = |schema: &str| {
        let inbox = PostgresInbox::connect_lazy(&server.url()).unwrap().schema(schema);
        runtime.block_on(inbox.migrate()).unwrap();
        Arc::new(inbox)
    };
    let inbox = open("few");
    let filled: Arc<dyn Inbox> = open("filled");
    have_one_done(runtime, &filled);
    server.sql(
        "INSERT INTO filled.circa_receiver_claims (token, ends, done, key, nonce, fingerprint)
            SELECT nextval('filled.circa_receiver_tokens'), ends, done, sha256(number::text::bytea), nonce, fingerprint
            FROM filled.circa_receiver_claims, generate_series(1, 1000000) AS number;
         INSERT INTO filled.circa_receiver_inbox (id, token, due, arrived, attempts, state, endpoint, type, event, key, details, body)
            SELECT claims.token, one.token, due, arrived, attempts, state, endpoint, type, event || claims.token, claims.key, details, body
            FROM filled.circa_receiver_claims AS claims, filled.circa_receiver_inbox AS one WHERE claims.token <> one.id;
         CREATE TABLE bare (key bytea PRIMARY KEY, state smallint NOT NULL, details text NOT NULL, body bytea NOT NULL);
         CREATE INDEX bare_ready ON bare (state) WHERE state = 0",
    );
    server.sql("VACUUM ANALYZE");

    // As the inbox's own pool.
    let options = PgPoolOptions::new().max_connections(8).test_before_acquire(false);
    let pool = runtime.block_on(options.connect(&server.url())).unwrap();
    let insert = call(pool.clone(), |pool, entry: Entry| async move {
        let insert = sqlx::query("INSERT INTO bare VALUES ($1, 0, $2, $3)").bind(entry.key().as_bytes().to_vec());
        insert.bind(entry.details()).bind(&entry.body()[..]).execute(&pool).await.unwrap();
    });
    let run_all = Box::new(move |runtime: &Runtime| runtime.block_on(run_bare_in(&pool)));
    Engine { name: "PostgreSQL", inbox, filled, insert, run_all }
}

async fn run_bare_in(pool: &PgPool) {
    let lease = "UPDATE bare SET state = 1 WHERE key IN (
        SELECT key FROM bare WHERE state = 0 LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING key, body";
    loop {
        let rows = sqlx::query(lease).bind(BATCH).fetch_all(pool).await.unwrap();
        if rows.is_empty() {
            return;
        }
        let complete = |key: Vec<u8>| {
            let pool = pool.clone();
            async move {
                let complete = sqlx::query("UPDATE bare SET state = 2 WHERE key = $1");
                complete.bind(key).execute(&pool).await.unwrap();
            }
        };
        let runs: JoinSet<()> = rows.iter().map(|row| complete(row.get(0))).collect();
        runs.join_all().await;
    }
}

/// An event that is done, to be copied.
fn have_one_done(runtime: &Runtime, inbox: &Arc<dyn Inbox>) {
    time(runtime, &accept(inbox), fresh, 1, 1);
    run_all(runtime, inbox, 1);
}
