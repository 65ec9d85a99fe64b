//! What a claim costs: commits, time and space.

use circa_receiver_test_support::postgres::PostgresServer;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, PostgresStore, Token, sqlx},
};

use super::{DONE, LEASE, RETENTION, handle, key, options, patient, pool, request, win};

/// Transactions that wrote something so far, and the commits that they cost.
fn written(server: &PostgresServer) -> u64 {
    server.sql("SELECT pg_snapshot_xmax(pg_current_snapshot())").parse().unwrap()
}

#[tokio::test]
async fn a_handled_event_costs_two_commits_and_a_duplicate_none() {
    let server = PostgresServer::start_with(&["autovacuum=off"]);
    let store = patient(&server);
    store.migrate().await.unwrap();
    let start = written(&server);
    for id in 0..20 {
        handle(&store, &key(id)).await;
    }
    assert_eq!(written(&server) - start, 40, "two for each event");
    let held = key("held");
    win(&store, &held, 1).await;
    let start = written(&server);
    for id in 0..20 {
        assert_eq!(store.claim(request(&key(id), 2)).await.unwrap(), DONE);
        assert!(matches!(store.claim(request(&held, 2)).await.unwrap(), ClaimAnswer::InProgress { .. }));
        store.check().await.unwrap();
        assert!(!store.complete(&key("absent"), Token::new(1), RETENTION).await.unwrap());
    }
    assert_eq!(written(&server) - start, 0, "a duplicate is read");
}

/// The second write of an event goes beside the first, and touches no index.
#[tokio::test]
async fn a_complete_writes_to_no_index() {
    let server = PostgresServer::start_with(&["autovacuum=off"]);
    let store = patient(&server);
    store.migrate().await.unwrap();
    for id in 0..1_000 {
        let key = key(id);
        let token = win(&store, &key, 1).await;
        assert!(store.renew(&key, token, LEASE).await.unwrap());
        assert!(store.complete(&key, token, RETENTION).await.unwrap());
    }
    let hot = "SELECT n_tup_hot_upd * 100 / greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE n_tup_upd >= 2000";
    circa_receiver_test_support::wait_until("statistics are in", || !server.sql(hot).is_empty());
    let hot: u32 = server.sql(hot).parse().unwrap();
    assert!(hot >= 90, "{hot} % of the updates touched no index");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release --features postgres --test it postgres::cost::measures -- --ignored --nocapture"]
async fn measures_a_claim_beside_a_commit() {
    let server = PostgresServer::start();
    let store = patient(&server);
    store.migrate().await.unwrap();
    let bare = pool(options(&server), 8);
    sqlx::raw_sql("CREATE TABLE bare (id bigint PRIMARY KEY, data bytea)").execute(&bare).await.unwrap();
    let mut connection = bare.acquire().await.unwrap();
    let (mut selects, mut commits, mut claims, mut completes, mut duplicates) =
        (vec![], vec![], vec![], vec![], vec![]);
    for id in 0..3_000_i64 {
        let started = Instant::now();
        sqlx::query("SELECT 1").execute(&mut *connection).await.unwrap();
        selects.push(started.elapsed());
        let started = Instant::now();
        let insert = sqlx::query("INSERT INTO bare VALUES ($1, $2)").bind(id).bind(vec![0_u8; 64]);
        insert.execute(&mut *connection).await.unwrap();
        commits.push(started.elapsed());
        let key = key(id);
        let started = Instant::now();
        let token = win(&store, &key, 1).await;
        claims.push(started.elapsed());
        let started = Instant::now();
        assert!(store.complete(&key, token, RETENTION).await.unwrap());
        completes.push(started.elapsed());
        let started = Instant::now();
        assert_eq!(store.claim(request(&key, 2)).await.unwrap(), DONE);
        duplicates.push(started.elapsed());
    }
    let (select, commit, claim) = (median(selects), median(commits), median(claims));
    println!("p50: SELECT 1 {select:?}, one durable commit {commit:?}, claim {claim:?}");
    println!("p50: complete {:?}, duplicate {:?}", median(completes), median(duplicates));
    println!("claim / (SELECT 1 + commit) = {:.2}", claim.as_secs_f64() / (select + commit).as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release --features postgres --test it postgres::cost::measures -- --ignored --nocapture"]
async fn measures_bytes_per_entry() {
    const ENTRIES: usize = 200_000;
    // Whether the disk has it or not, it is as large.
    let server = PostgresServer::start_with(&["fsync=off"]);
    let store = std::sync::Arc::new(patient(&server));
    store.migrate().await.unwrap();
    let started = Instant::now();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move {
                for entry in (task..ENTRIES).step_by(16) {
                    // 30 characters, in no order, as a sender's are.
                    let id = format!(
                        "evt_{:026x}",
                        (entry as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) >> 24
                    );
                    let key = Key::new("circa", &id);
                    let nonce = Nonce::new(entry as u128);
                    let fingerprint = Fingerprint::from_bytes([entry as u8; 32]);
                    let answer = store.claim(ClaimRequest::new(&key, fingerprint, nonce, LEASE, RETENTION)).await;
                    let ClaimAnswer::Won(token) = answer.unwrap() else { panic!("{id} was not won") };
                    assert!(store.complete(&key, token, RETENTION).await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!("{ENTRIES} events in {:?}", started.elapsed());
    let size = |what: &str| -> f64 {
        let size = server.sql(&format!("SELECT {what}('circa_receiver_claims')"));
        size.parse::<f64>().unwrap() / ENTRIES as f64
    };
    println!(
        "bytes per entry: {:.0} in all, {:.0} of them the index",
        size("pg_total_relation_size"),
        size("pg_indexes_size")
    );
}

/// As many deliveries at once as a receiver has in flight by default, on the default pool of 8:
/// claim, then complete.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "a measurement: cargo test --release --features postgres --test it postgres::cost::measures -- --ignored --nocapture"]
async fn measures_handled_events_a_second() {
    let server = PostgresServer::start();
    for in_flight in [4, 16, 64] {
        let store = Arc::new(PostgresStore::connect_lazy(&server.url()).unwrap().timeout(Duration::from_secs(20)));
        store.migrate().await.unwrap();
        let until = Instant::now() + Duration::from_secs(5);
        let tasks: Vec<_> = (0..in_flight)
            .map(|task| {
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    let mut handled = 0_u32;
                    while Instant::now() < until {
                        handle(&store, &key(format!("{in_flight} {task} {handled}"))).await;
                        handled += 1;
                    }
                    handled
                })
            })
            .collect();
        let mut handled = 0;
        for task in tasks {
            handled += task.await.unwrap();
        }
        println!("{in_flight} in flight: {} events a second", handled / 5);
    }
}
