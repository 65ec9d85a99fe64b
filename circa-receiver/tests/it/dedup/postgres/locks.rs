//! A row that another transaction holds: claims wait for it, and nothing else does.

use std::{sync::Arc, time::Duration};

use circa_receiver::{
    DedupStore,
    dedup::{
        ClaimAnswer, PostgresStore, StoreError,
        sqlx::{self, AssertSqlSafe, PgPool, Postgres, Transaction},
    },
};

use super::{LEASE, PATIENCE, RETENTION, key, options, pool, request, server, store, win};

/// Locks the rows of a schema whose keys end with `locked`, until the transaction ends.
async fn lock<'p>(pool: &'p PgPool, schema: &str) -> Transaction<'p, Postgres> {
    let mut transaction = pool.begin().await.unwrap();
    let rows =
        format!("SELECT FROM {schema}.circa_receiver_claims WHERE position('locked'::bytea IN key) > 0 FOR UPDATE");
    sqlx::raw_sql(AssertSqlSafe(rows)).execute(&mut *transaction).await.unwrap();
    transaction
}

/// Waits until exactly so many sessions of this name wait for a lock.
async fn until_waiting(pool: &PgPool, name: &str, count: i64) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'";
    let reached = async {
        while sqlx::query_scalar::<_, i64>(waiting).bind(name).fetch_one(pool).await.unwrap() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let within = tokio::time::timeout(circa_receiver_test_support::READY_WITHIN, reached).await;
    assert!(within.is_ok(), "{name}: not {count} sessions wait for a lock");
}

/// Contract, section 7: renewals, completions and releases have room that claims cannot take.
#[tokio::test]
async fn claims_leave_two_connections_free() {
    const CONNECTIONS: u32 = 5;
    let schema = "reserved";
    store(schema).await;
    let own = pool(options(server()).application_name(schema), CONNECTIONS);
    let patience = circa_receiver_test_support::READY_WITHIN;
    let store = Arc::new(PostgresStore::new(own).schema(schema).timeout(patience * 2));
    let keys = ["renewed", "completed", "released", "withdrawn"].map(key);
    let mut tokens = Vec::new();
    for key in &keys {
        tokens.push(win(&store, key, 1).await);
    }
    let free = win(&store, &key("locked"), 1).await;
    assert!(store.release(&key("locked"), free).await.unwrap());
    let others = pool(options(server()), 2);
    let locked = lock(&others, schema).await;

    let claims: Vec<_> = (0..2 * u128::from(CONNECTIONS))
        .map(|nonce| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.claim(request(&key("locked"), nonce)).await })
        })
        .collect();
    // All have been polled, and so stand before what comes after them, once three of them wait for
    // the row.
    until_waiting(&others, schema, 3).await;
    let held = async {
        assert!(store.renew(&keys[0], tokens[0], LEASE).await.unwrap());
        assert!(store.complete(&keys[1], tokens[1], RETENTION).await.unwrap());
        assert!(store.release(&keys[2], tokens[2]).await.unwrap());
        assert!(store.withdraw(&keys[3], circa_receiver::dedup::Nonce::new(1)).await.unwrap());
        store.check().await.unwrap();
    };
    assert!(tokio::time::timeout(patience, held).await.is_ok(), "they wait behind claims");
    until_waiting(&others, schema, 3).await;
    assert!(claims.iter().all(|claim| !claim.is_finished()), "the claims wait still");

    locked.rollback().await.unwrap();
    let mut won = 0;
    for claim in claims {
        won += u32::from(matches!(claim.await.unwrap().unwrap(), ClaimAnswer::Won(_)));
    }
    assert_eq!(won, 1);
}

/// A claim whose caller has given up, while it waited for the lock of the row, is not made when the
/// lock is free.
#[tokio::test]
async fn a_claim_that_waited_for_a_row_longer_than_its_caller_is_not_made() {
    let schema = "waited";
    store(schema).await;
    let own = pool(options(server()).application_name(schema), 2);
    let store = Arc::new(PostgresStore::new(own).schema(schema).timeout(PATIENCE));
    let free = win(&store, &key("locked"), 1).await;
    assert!(store.release(&key("locked"), free).await.unwrap());
    let others = pool(options(server()), 2);
    let locked = lock(&others, schema).await;
    let claim = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.claim(request(&key("locked"), 2)).await }
    });
    until_waiting(&others, schema, 1).await;
    let answer = claim.await.unwrap();
    assert!(matches!(answer, Err(StoreError::Timeout)), "{answer:?}");
    locked.rollback().await.unwrap();
    // Until the session has come to its end, having done what it was sent.
    until_waiting(&others, schema, 0).await;
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waited' AND state = 'active'";
    while sqlx::query_scalar::<_, i64>(open).fetch_one(&others).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let held = "SELECT count(*) FROM waited.circa_receiver_claims WHERE token <> 0 AND ends > clock_timestamp()";
    assert_eq!(sqlx::query_scalar::<_, i64>(held).fetch_one(&others).await.unwrap(), 0, "it is claimed for nobody");
    win(&store, &key("locked"), 3).await;
}
