//! PgBouncer: the store works through it in session mode; transaction mode without prepared
//! statements is refused at start.

use std::time::Duration;

use circa_receiver::{
    DedupStore,
    dedup::{
        PostgresStore,
        sqlx::{self, Connection},
    },
};
use circa_receiver_test_support::{pgbouncer::PgBouncer, postgres::PostgresServer};

use super::all_operations_work;

/// A busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server of its own: the load of other tests does not take its connections.
async fn server() -> PostgresServer {
    let server = PostgresServer::start();
    PostgresStore::connect_lazy(&server.url()).unwrap().schema("pooled").timeout(PATIENCE).migrate().await.unwrap();
    server
}

fn through(pooler: &PgBouncer) -> PostgresStore {
    PostgresStore::connect_lazy(&pooler.url()).unwrap().timeout(PATIENCE).schema("pooled")
}

/// PgBouncer before 1.21, or with `max_prepared_statements = 0`: with one connection at a time
/// every call succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pooler_that_loses_prepared_statements_is_refused_at_start() {
    let server = server().await;
    let pooler = PgBouncer::start(&server, "transaction");
    for round in 0..5 {
        let store = through(&pooler);
        for (call, answer) in [("migrate", store.migrate().await), ("check", store.check().await)] {
            let error = answer.expect_err(call).to_string();
            let says = ["pooler loses prepared statements", "pool_mode = session", "max_prepared_statements"];
            assert!(says.iter().all(|words| error.contains(words)), "{call}, {round}: {error}");
        }
        // The first call of another store may be `check`.
        let error = through(&pooler).check().await.expect_err("check of another store").to_string();
        assert!(error.contains("pooler loses prepared statements"), "{round}: {error}");
    }
}

/// Two server processes, of which the one that is used second has a statement of the name that the
/// driver gives its first one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_statement_that_another_connection_left_is_not_taken_for_its_own() {
    let server = server().await;
    let pooler = PgBouncer::start(&server, "transaction");
    let mut leaves = sqlx::PgConnection::connect(&pooler.url()).await.unwrap();
    let mut other = sqlx::PgConnection::connect(&pooler.url()).await.unwrap();
    let mut prepared = leaves.begin().await.unwrap();
    sqlx::query("SELECT 1::bigint").execute(&mut *prepared).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::raw_sql("SELECT 1").execute(&mut *held).await.unwrap();
    // The process that is given back last is the first to be given out.
    prepared.rollback().await.unwrap();
    held.rollback().await.unwrap();
    let error = through(&pooler).check().await.expect_err("the statement is lost").to_string();
    assert!(error.contains("pooler loses prepared statements"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn works_through_a_pooler_in_session_mode() {
    let server = server().await;
    let pooler = PgBouncer::start(&server, "session");
    let store = through(&pooler);
    store.migrate().await.unwrap();
    all_operations_work(&store, "pooled").await;
}
