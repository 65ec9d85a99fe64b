//! The PostgreSQL store against a real server: what every store must do, and what only this one
//! must.

mod away;
mod cost;
mod locks;
mod pooler;
mod schema;
mod sweep;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use circa_receiver::{
    DedupStore,
    dedup::{
        ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, PostgresStore, StoreError, Token,
        sqlx::{
            self, AssertSqlSafe, PgPool,
            postgres::{PgConnectOptions, PgPoolOptions},
        },
    },
    testing::store_tests::{self, Subject},
};
use circa_receiver_test_support::postgres::PostgresServer;

const PATIENCE: Duration = Duration::from_secs(5);
const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);
const DONE: ClaimAnswer = ClaimAnswer::Done { same_body: true };

/// The server of all tests that do it no harm.
fn server() -> &'static PostgresServer {
    static SERVER: OnceLock<PostgresServer> = OnceLock::new();
    SERVER.get_or_init(|| PostgresServer::start_with(&["max_connections=300"]))
}

/// A store with a longer timeout than the default one, for a busy machine, and with enough
/// connections for all threads, including the connections that are being given back.
fn patient(server: &PostgresServer) -> PostgresStore {
    PostgresStore::connect_lazy(&server.url()).unwrap().max_connections(16).timeout(PATIENCE)
}

async fn store(schema: &str) -> PostgresStore {
    let store = patient(server()).schema(schema);
    store.migrate().await.unwrap();
    store
}

async fn subject() -> Subject {
    // As many calls at once as the store has connections: more would wait for one.
    Subject::new(store("behaviours").await).entries(10_000).in_flight(8)
}

/// With a server of its own, which can be taken away.
async fn alone() -> Subject {
    let server = PostgresServer::start();
    let store = PostgresStore::connect_lazy(&server.url()).unwrap();
    store.migrate().await.unwrap();
    let server = Arc::new(Mutex::new(server));
    let restarted = Arc::clone(&server);
    let blocking = |server: &Arc<Mutex<PostgresServer>>, change: fn(&mut PostgresServer)| {
        let server = Arc::clone(server);
        async move { tokio::task::spawn_blocking(move || change(&mut server.lock().unwrap())).await.unwrap() }
    };
    Subject::new(store)
        .outage(move || blocking(&server, PostgresServer::kill), move || blocking(&restarted, PostgresServer::restart))
}

circa_receiver::store_tests!(subject, outage = alone);

/// Moves time for all rows at once, without the store.
async fn with_time_that_moves() -> Subject {
    let store = store("moving").await;
    let pool = pool(options(server()), 1);
    let pass = move |time: Duration| {
        let sql = format!("UPDATE moving.circa_receiver_claims SET ends = ends - interval '{} s'", time.as_secs());
        let pool = pool.clone();
        async move { _ = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap() }
    };
    Subject::new(store).passing(pass)
}

#[test]
fn random_traces_in_moving_time_are_answered_as_by_the_model() {
    store_tests::run(with_time_that_moves, store_tests::behaviours::random_traces_are_answered_as_by_the_model);
}

fn key(id: impl std::fmt::Display) -> Key {
    Key::new("postgres store", &format!("{id}"))
}

fn request(key: &Key, nonce: u128) -> ClaimRequest<'_> {
    ClaimRequest::new(key, Fingerprint::from_bytes([1; 32]), Nonce::new(nonce), LEASE, RETENTION)
}

async fn win(store: &PostgresStore, key: &Key, nonce: u128) -> Token {
    match store.claim(request(key, nonce)).await.unwrap() {
        ClaimAnswer::Won(token) => token,
        other => panic!("{key:?} was not won: {other:?}"),
    }
}

async fn handle(store: &PostgresStore, key: &Key) {
    let token = win(store, key, 1).await;
    assert!(store.complete(key, token, RETENTION).await.unwrap(), "{key:?}");
}

/// Every operation once, and the event again.
async fn all_operations_work(store: &PostgresStore, id: &str) {
    let (done, released) = (key(format!("{id}, done")), key(format!("{id}, released")));
    let token = win(store, &done, 1).await;
    assert!(store.renew(&done, token, LEASE).await.unwrap(), "renew");
    assert!(store.complete(&done, token, RETENTION).await.unwrap(), "complete");
    assert_eq!(store.claim(request(&done, 2)).await.unwrap(), DONE);
    assert!(store.forget(&done).await.unwrap(), "forget");
    let token = win(store, &released, 1).await;
    assert!(store.release(&released, token).await.unwrap(), "release");
    assert!(win(store, &released, 2).await > token);
    store.sweep().await.unwrap();
    store.check().await.unwrap();
}

fn options(server: &PostgresServer) -> PgConnectOptions {
    server.url().parse().unwrap()
}

fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new().max_connections(connections).connect_lazy_with(options)
}

/// A user's pool comes with settings that a store must live with.
#[tokio::test]
async fn works_on_a_pool_whatever_its_settings() {
    store("settings").await;
    for (setting, value) in [
        ("search_path", "nowhere"),
        ("synchronous_commit", "off"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_isolation", "repeatable read"),
        ("standard_conforming_strings", "off"),
        ("timezone", "Asia/Kathmandu"),
        ("datestyle", "German"),
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_tidscan", "off"),
        ("enable_indexscan", "off"),
    ] {
        let pool = pool(options(server()).options([(setting, value)]), 2);
        let store = PostgresStore::new(pool).schema("settings").timeout(PATIENCE);
        all_operations_work(&store, &format!("{setting}={value}")).await;
    }
}

/// One claim wins under every isolation level, and the others are answered "in progress".
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn races_are_decided_under_every_isolation() {
    store("isolation").await;
    for level in ["read committed", "repeatable read", "serializable"] {
        let options = options(server()).options([("default_transaction_isolation", level)]);
        let store = Arc::new(PostgresStore::new(pool(options, 16)).schema("isolation").timeout(PATIENCE));
        for round in 0..30 {
            let key = key(format!("{level}, {round}"));
            let claims: Vec<_> = (0..8)
                .map(|nonce| {
                    let (store, key) = (Arc::clone(&store), key.clone());
                    tokio::spawn(async move { store.claim(request(&key, nonce)).await })
                })
                .collect();
            let mut won = 0;
            for claim in claims {
                match claim.await.unwrap().unwrap() {
                    ClaimAnswer::Won(_) => won += 1,
                    ClaimAnswer::InProgress { .. } => {}
                    other => panic!("{level}, {round}: {other:?}"),
                }
            }
            assert_eq!(won, 1, "{level}, {round}");
        }
    }
}

/// Bounds the wait where all connections are in use, also of a pool that would wait for 30 s.
#[tokio::test]
async fn an_exhausted_pool_is_an_error_in_time() {
    store("exhausted").await;
    let pool = pool(options(server()), 1);
    let store = PostgresStore::new(pool.clone()).schema("exhausted");
    let taken = pool.acquire().await.unwrap();
    let started = std::time::Instant::now();
    let error = store.claim(request(&key("exhausted"), 1)).await.unwrap_err().to_string();
    // After 500 ms on a machine that has nothing else to do; the pool would wait for 30 s.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(error.contains("all connections of the pool are in use"), "{error}");
    drop(taken);
    all_operations_work(&store, "exhausted").await;
}

/// A wrong URL is an error at once, an unreachable server at the first call; neither message has
/// the password.
#[tokio::test]
async fn errors_say_what_is_wrong_and_never_the_password() {
    let port = server().port();
    for (url, words) in [
        ("", "postgres://"),
        ("localhost/app", "does not start with postgres://"),
        ("mysql://root:hunter2@localhost/app", "does not start with postgres://"),
        ("postgres://app:hunter2@localhost:port/app", "port"),
        ("postgres://app:hunter2@localhost/app?sslmode=maybe", "ssl_mode"),
        ("postgres://app:hunter2@127.0.0.1:1/app", "cannot be reached"),
        (&format!("postgres://nobody:hunter2@127.0.0.1:{port}/postgres"), "nobody"),
        (&format!("postgres://postgres:hunter2@127.0.0.1:{port}/hunters"), "hunters"),
        (&format!("postgres://postgres:hunter2@127.0.0.1:{port}/postgres?sslmode=require"), "TLS"),
    ] {
        let store = PostgresStore::connect_lazy(url);
        let error: StoreError = match &store {
            Ok(store) => {
                assert!(!format!("{store:?}").contains("hunter2"), "{store:?}");
                store.check().await.unwrap_err()
            }
            Err(StoreError::Failed(why)) => StoreError::Failed(why.to_string().into()),
            Err(other) => panic!("{url}: {other}"),
        };
        let text = format!("{error} {error:?}");
        assert!(text.contains(words), "{url}: {text}");
        assert!(!text.contains("hunter2"), "{url}: {text}");
    }
}
