//! PgBouncer between: in session mode the store works; in transaction mode without prepared statements it is refused at start.

use circa_receiver::{DedupStore, dedup::PostgresStore};
use circa_receiver_test_support::pgbouncer::PgBouncer;

use super::{PATIENCE, all_operations_work, server, store};

fn through(pooler: &PgBouncer) -> PostgresStore {
    PostgresStore::connect_lazy(&pooler.url()).unwrap().timeout(PATIENCE).schema("pooled")
}

/// PgBouncer before 1.21, or with `max_prepared_statements = 0`: with one connection at a time every call succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pooler_that_loses_prepared_statements_is_refused_at_start() {
    store("pooled").await;
    let pooler = PgBouncer::start(server(), "transaction");
    for round in 0..5 {
        let store = through(&pooler);
        for (call, answer) in [("migrate", store.migrate().await), ("check", store.check().await)] {
            let error = answer.expect_err(call).to_string();
            let says = ["pooler loses prepared statements", "pool_mode = session", "max_prepared_statements"];
            assert!(says.iter().all(|words| error.contains(words)), "{call}, {round}: {error}");
        }
        // The first call of another store may be `check`.
        assert!(through(&pooler).check().await.is_err(), "{round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn works_through_a_pooler_in_session_mode() {
    store("pooled").await;
    let pooler = PgBouncer::start(server(), "session");
    let store = through(&pooler);
    store.migrate().await.unwrap();
    all_operations_work(&store, "pooled").await;
}
