//! The sweep removes rows that ended more than an hour ago, keeps all others, and delays no call.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use circa_receiver::{DedupStore, dedup::ClaimAnswer};
use circa_receiver_test_support::READY_WITHIN;

use super::{DONE, handle, key, options, patient, pool, request, server, store, win};

/// Moves the ends of the keys that have this in their ids back in time.
fn age(schema: &str, id: &str, by: &str) {
    server().sql(&format!(
        "UPDATE {schema}.circa_receiver_claims SET ends = ends - interval '{by}' WHERE position('{id}'::bytea IN key) > 0"
    ));
}

fn rows(schema: &str) -> String {
    server().sql(&format!("SELECT count(*) FROM {schema}.circa_receiver_claims"))
}

#[tokio::test]
async fn only_what_ended_long_ago_is_swept() {
    let store = store("sweeping").await;
    for (id, done, by, stays) in [
        ("done", true, "0", true),
        ("done for 71 hours", true, "71 hours", true),
        ("done and just ended", true, "72 hours 50 minutes", true),
        ("done and ended", true, "73 hours 1 minute", false),
        ("in progress", false, "0", true),
        ("lapsed", false, "10 minutes", true),
        ("lapsed long ago", false, "62 minutes", false),
    ] {
        server().sql("TRUNCATE sweeping.circa_receiver_claims");
        let key = key(format!("<{id}>"));
        let token = win(&store, &key, 1).await;
        if done {
            assert!(store.complete(&key, token, super::RETENTION).await.unwrap());
        }
        age("sweeping", &format!("<{id}>"), by);
        assert_eq!(store.sweep().await.unwrap(), u64::from(!stays), "{id}");
        assert_eq!(rows("sweeping"), if stays { "1" } else { "0" }, "{id}");
    }
}

/// More than one statement's worth, in the midst of what stays.
#[tokio::test]
async fn a_whole_table_is_swept_in_parts() {
    let store = store("parts").await;
    fill("parts", 20_000);
    handle(&store, &key("stays")).await;
    age("parts", "filled", "100 hours");
    assert_eq!(store.sweep().await.unwrap(), 20_000);
    assert_eq!(rows("parts"), "1");
    assert_eq!(store.claim(request(&key("stays"), 2)).await.unwrap(), DONE);
}

/// A row that another transaction holds is passed over, not waited for.
#[tokio::test]
async fn the_sweep_waits_for_nobody() {
    let store = store("held").await;
    handle(&store, &key("locked")).await;
    handle(&store, &key("free")).await;
    age("held", "", "100 hours");
    let pool = pool(options(server()), 1);
    let mut lock = pool.begin().await.unwrap();
    let locked = "SELECT FROM held.circa_receiver_claims WHERE position('locked'::bytea IN key) > 0 FOR UPDATE";
    circa_receiver::dedup::sqlx::raw_sql(locked).execute(&mut *lock).await.unwrap();
    // One that waited would fail: the lock is not given up before it has ended.
    assert_eq!(store.sweep().await.unwrap(), 1);
    lock.rollback().await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 1);
}

/// Claims of other events, and of the very events that are being swept, go on meanwhile: each
/// within the store's timeout, or it would fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claim_does_not_wait_for_the_sweep() {
    // As long as a receiver waits.
    let store = Arc::new(store("meanwhile").await.timeout(Duration::from_secs(2)));
    fill("meanwhile", 50_000);
    age("meanwhile", "filled", "100 hours");
    let sweeping = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.sweep().await }
    });
    for nonce in 0..100 {
        win(&store, &key(format!("fresh {nonce}")), nonce).await;
        let swept = key(format!("filled {}", 50_000 - nonce * 500));
        let answer = store.claim(request(&swept, nonce)).await.unwrap();
        assert!(matches!(answer, ClaimAnswer::Won(_)), "{swept:?}: {answer:?}");
    }
    let swept = sweeping.await.unwrap().unwrap();
    let left: u64 = rows("meanwhile").parse().unwrap();
    assert!(left >= 200 && swept + left >= 50_100, "{swept} swept, {left} left");
    for nonce in 0..100 {
        let answer = store.claim(request(&key(format!("fresh {nonce}")), 1_000)).await.unwrap();
        assert!(matches!(answer, ClaimAnswer::InProgress { .. }), "fresh {nonce} was swept: {answer:?}");
    }
}

/// Claims are enough to start it.
#[tokio::test]
async fn claims_sweep_in_the_background() {
    let store = store("background").await;
    fill("background", 5_000);
    age("background", "filled", "100 hours");
    for _ in 0..1_000 {
        win(&store, &key("again"), 1).await;
    }
    let started = Instant::now();
    while rows("background") != "1" {
        assert!(started.elapsed() < READY_WITHIN, "{} rows are left", rows("background"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// So many events, handled just now, as [`key`] names them.
fn fill(schema: &str, count: usize) {
    let endpoint = "postgres store";
    server().sql(&format!(
        "INSERT INTO {schema}.circa_receiver_claims (token, ends, done, key, nonce, fingerprint)
         SELECT nextval('{schema}.circa_receiver_tokens'), clock_timestamp() + interval '72 hours', true,
             int8send({}) || convert_to('{endpoint}filled ' || id, 'UTF8'), '\\x00', '\\x00'
         FROM generate_series(1, {count}) AS id",
        endpoint.len()
    ));
}

#[tokio::test]
async fn the_rows_that_these_tests_make_are_those_of_the_store() {
    let store = patient(server()).schema("filled");
    store.migrate().await.unwrap();
    fill("filled", 1);
    assert_eq!(
        store.claim(request(&key("filled 1"), 1)).await.unwrap(),
        ClaimAnswer::Done { same_body: false },
        "it is another body's"
    );
}
