//! The Redis store: what every store must do, on one server and on a cluster, and what only a server that can fail must.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used, missing_docs)]

mod receiving;
mod servers;

use std::{
    future::Future,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore, RedisStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, StoreError, Token},
    testing::store_tests::Subject,
};
use receiving::{Endpoint, Gate, HANDLED, Request, UNAVAILABLE, answer, circa};
use servers::redis::RedisServer;

/// For a machine that has other things to do; the default is short, and is used where time is the rule.
const PATIENCE: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(600);
const DONE: ClaimAnswer = ClaimAnswer::Done { same_body: true };

/// What rows that run at the same time use together, gone with the last of them.
fn shared<T>(slot: &Mutex<Weak<T>>, start: impl FnOnce() -> T) -> Arc<T> {
    let mut slot = slot.lock().unwrap();
    slot.upgrade().unwrap_or_else(|| {
        let started = Arc::new(start());
        *slot = Arc::downgrade(&started);
        started
    })
}

/// The server goes away and comes back, in the rows that ask for it.
fn with_outage<T: Send + 'static>(subject: Subject, server: T, stop: fn(&mut T), start: fn(&mut T)) -> Subject {
    let server = Arc::new(Mutex::new(server));
    let hook = |change: fn(&mut T)| {
        let server = Arc::clone(&server);
        move || {
            change(&mut server.lock().unwrap());
            std::future::ready(())
        }
    };
    subject.outage(hook(stop), hook(start)).keep(server)
}

mod single {
    use super::*;

    static SERVER: Mutex<Weak<RedisServer>> = Mutex::new(Weak::new());

    async fn subject() -> Subject {
        let server = shared(&SERVER, RedisServer::start);
        let store = RedisStore::connect(&server.url()).await.unwrap().response_timeout(PATIENCE);
        Subject::new(store).entries(100_000).keep(server)
    }

    async fn own_server() -> Subject {
        let server = RedisServer::start();
        let store = RedisStore::connect(&server.url()).await.unwrap();
        let subject = Subject::new(store).bound(Duration::from_millis(500));
        with_outage(subject, server, RedisServer::kill, RedisServer::restart)
    }

    circa_receiver::store_tests!(subject, outage = own_server);
}

#[cfg(feature = "redis-cluster")]
mod cluster {
    use super::{servers::redis::RedisCluster, *};

    static CLUSTER: Mutex<Weak<RedisCluster>> = Mutex::new(Weak::new());

    async fn subject() -> Subject {
        let cluster = shared(&CLUSTER, RedisCluster::start);
        let store = RedisStore::connect_cluster(cluster.urls()).await.unwrap().response_timeout(PATIENCE);
        Subject::new(store).entries(20_000).keep(cluster)
    }

    async fn own_cluster() -> Subject {
        let cluster = RedisCluster::start_durable();
        let store = RedisStore::connect_cluster(cluster.urls()).await.unwrap();
        let subject = Subject::new(store).bound(Duration::from_millis(800));
        with_outage(subject, cluster, RedisCluster::kill, RedisCluster::restart)
    }

    circa_receiver::store_tests!(subject, outage = own_cluster);

    /// One node that does not answer takes its own events with it, and for a moment, while the others are looked for, theirs.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_frozen_node_does_not_stop_the_others() {
        let mut cluster = RedisCluster::start();
        let store = RedisStore::connect_cluster(cluster.urls()).await.unwrap();
        cluster.nodes()[1].freeze();
        let mut answered = 0;
        for round in 0..30 {
            let started = Instant::now();
            answered += u32::from(claim(&store, &event(round), 1).await.is_ok());
            assert!(started.elapsed() < Duration::from_millis(800), "round {round}: {:?}", started.elapsed());
        }
        assert!(answered > 0, "no event of the other two nodes could be claimed");
        cluster.nodes()[1].thaw();
        let back = Instant::now();
        loop {
            let mut all = true;
            for round in 100..130 {
                all &= claim(&store, &event(round), 1).await.is_ok();
            }
            if all {
                break;
            }
            assert!(back.elapsed() < Duration::from_secs(15), "the store is not back");
        }
    }
}

fn event(number: u64) -> Key {
    Key::new("redis store", &format!("evt_{number}"))
}

async fn claim_for(store: &RedisStore, key: &Key, nonce: u128, lease: Duration) -> Result<ClaimAnswer, StoreError> {
    store.claim(ClaimRequest::new(key, Fingerprint::from_bytes([1; 32]), Nonce(nonce), lease, RETENTION)).await
}

async fn claim(store: &RedisStore, key: &Key, nonce: u128) -> Result<ClaimAnswer, StoreError> {
    claim_for(store, key, nonce, LEASE).await
}

async fn win(store: &RedisStore, key: &Key, nonce: u128) -> Token {
    match claim(store, key, nonce).await {
        Ok(ClaimAnswer::Won(token)) => token,
        other => panic!("{key:?} is not won: {other:?}"),
    }
}

/// A connection of the test's own.
fn raw(server: &RedisServer) -> redis::Connection {
    redis::Client::open(server.url()).unwrap().get_connection().unwrap()
}

fn ask<T: redis::FromRedisValue>(server: &RedisServer, command: &[&[u8]]) -> T {
    let (name, arguments) = command.split_first().unwrap();
    redis::cmd(std::str::from_utf8(name).unwrap()).arg(arguments).query(&mut raw(server)).unwrap()
}

/// Where a store with the default prefix keeps an event.
fn place(key: &Key) -> Vec<u8> {
    [b"circa-receiver:", key.as_bytes()].concat()
}

/// Every operation, by name, each with how it ended.
async fn every_call(store: &RedisStore, key: &Key, token: Token) -> Vec<(&'static str, Option<StoreError>, Duration)> {
    async fn timed<T>(
        name: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> (&'static str, Option<StoreError>, Duration) {
        let started = Instant::now();
        let error = call.await.err();
        (name, error, started.elapsed())
    }
    vec![
        timed("claim", claim(store, &Key::new("redis store", "every call"), 99)).await,
        timed("renew", store.renew(key, token, LEASE)).await,
        timed("complete", store.complete(key, token, RETENTION)).await,
        timed("release", store.release(key, token)).await,
        timed("forget", store.forget(key)).await,
        timed("check", store.check()).await,
    ]
}

/// The scripts are known to a server by their hashes, until it is restarted or told to forget them.
#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_learns_them_again() {
    let mut server = RedisServer::start_durable();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    for (round, restart) in [false, true, false, true].into_iter().enumerate() {
        let key = event(round as u64);
        let mut forget = || if restart { server.restart() } else { ask(&server, &[b"SCRIPT", b"FLUSH"]) };
        forget();
        let token = win(&store, &key, 1).await;
        forget();
        assert!(store.renew(&key, token, LEASE).await.unwrap(), "round {round}");
        forget();
        assert!(store.complete(&key, token, RETENTION).await.unwrap(), "round {round}");
        forget();
        assert_eq!(claim(&store, &key, 2).await.unwrap(), DONE, "round {round}");
    }
}

/// Every call ends in time on a server that does not answer, and the first call after that is answered.
#[tokio::test]
async fn a_frozen_server_fails_every_call_in_time_and_the_next_call_after_the_thaw_works() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    for round in 0..3 {
        let (held, asked) = (event(2 * round), event(2 * round + 1));
        let token = win(&store, &held, 1).await;
        server.freeze();
        for (name, error, took) in every_call(&store, &held, token).await {
            assert!(matches!(error, Some(StoreError::Timeout)), "{name}, round {round}: {error:?}");
            assert!(took < Duration::from_millis(500), "{name}, round {round}: {took:?}");
        }
        assert!(claim(&store, &asked, 1).await.is_err());
        server.thaw();
        win(&store, &event(1_000 + round), 1).await;
        assert!(store.check().await.is_ok(), "round {round}");
    }
}

/// A claim that a thawed server reads long after its delivery was answered holds nothing: the sender's next attempt would wait for its lease.
#[tokio::test]
async fn a_claim_that_nobody_waits_for_any_more_is_not_made() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    win(&store, &event(0), 1).await;
    server.freeze();
    for number in 1..=10 {
        assert!(claim(&store, &event(number), 1).await.is_err(), "event {number}");
    }
    server.thaw();
    for number in 1..=10 {
        win(&store, &event(number), 2).await;
    }
}

/// Contract, section 7: the store does not answer within its timeout: 503. Server frozen: every delivery answered 503 within store timeout + 200 ms;
/// after thaw the next delivery is 200.
#[tokio::test]
async fn deliveries_to_a_frozen_server_are_answered_503_and_the_next_after_the_thaw_200() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let store_timeout = Duration::from_secs(1);
    let endpoint = Endpoint::new(circa().dedup(store).store_timeout(store_timeout), Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_before")).await), HANDLED);
    for round in 0..3 {
        server.freeze();
        for number in 0..5 {
            let started = Instant::now();
            let response = endpoint.deliver(&Request::circa(&format!("evt_{round}_{number}"))).await;
            assert_eq!(answer(&response), UNAVAILABLE, "round {round}, delivery {number}");
            let bound = store_timeout + Duration::from_millis(200);
            assert!(started.elapsed() < bound, "round {round}, delivery {number}: {:?}", started.elapsed());
        }
        server.thaw();
        for number in 0..5 {
            let response = endpoint.deliver(&Request::circa(&format!("evt_{round}_{number}"))).await;
            assert_eq!(answer(&response), HANDLED, "round {round}, delivery {number} again");
        }
    }
}

/// Deliveries go on being answered by a store whose server comes and goes.
#[tokio::test]
async fn the_first_call_after_a_restart_works() {
    let mut server = RedisServer::start_durable();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let (first, second) = (event(1), event(2));
    let mut token = win(&store, &first, 1).await;
    for round in 0..3 {
        server.restart();
        assert!(store.renew(&first, token, LEASE).await.unwrap(), "renew, round {round}");
        server.restart();
        assert!(store.release(&first, token).await.unwrap(), "release, round {round}");
        server.restart();
        token = win(&store, &first, round + 2).await;
    }
    let token = win(&store, &second, 1).await;
    server.restart();
    assert!(store.complete(&second, token, RETENTION).await.unwrap());
    server.restart();
    assert_eq!(claim(&store, &second, 2).await.unwrap(), DONE, "on the disk");
}

/// A call whose answer was lost is made again, and tells what the first would have.
#[tokio::test]
async fn a_call_whose_answer_was_lost_may_be_repeated() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let key = event(1);
    let released = win(&store, &key, 1).await;
    assert!(store.release(&key, released).await.unwrap());
    assert!(store.release(&key, released).await.unwrap(), "release");
    let token = win(&store, &key, 2).await;
    assert_eq!(win(&store, &key, 2).await, token, "claim");
    assert!(!store.release(&key, released).await.unwrap(), "the claim is another's now");
    assert!(store.complete(&key, token, RETENTION).await.unwrap());
    assert!(store.complete(&key, token, RETENTION).await.unwrap(), "complete");
    assert!(!store.complete(&key, released, RETENTION).await.unwrap(), "another's complete");
}

#[tokio::test]
async fn key_prefixes_keep_stores_apart() {
    let server = RedisServer::start();
    let key = event(1);
    for prefix in ["", "a", "ab", "a:", "{a}", "ü", "circa-receiver:x"] {
        let store = RedisStore::connect(&server.url()).await.unwrap().key_prefix(prefix);
        let token = win(&store, &key, 1).await;
        assert!(store.complete(&key, token, RETENTION).await.unwrap(), "{prefix:?}");
        assert_eq!(claim(&store, &key, 2).await.unwrap(), DONE, "{prefix:?}");
        let place = [prefix.as_bytes(), key.as_bytes()].concat();
        assert_eq!(ask::<u32>(&server, &[b"EXISTS", &place]), 1, "{prefix:?}");
    }
    let other = RedisStore::connect(&server.url()).await.unwrap();
    win(&other, &key, 1).await;
}

/// An error tells what is wrong with the configuration, and never the password.
#[tokio::test]
async fn wrong_urls_and_passwords_are_told_without_the_password() {
    let secured = RedisServer::start_with(&["--save", "", "--requirepass", "right-secret"]);
    let open = RedisServer::start();
    let (port, gone) = (secured.port(), servers::free_port());
    let rows = [
        ("no URL", "localhost".to_owned(), "not a URL of a Redis server"),
        ("another scheme", "http://:wrong-secret@localhost".to_owned(), "not a URL of a Redis server"),
        ("no port", "redis://:wrong-secret@localhost:port".to_owned(), "not a URL of a Redis server"),
        ("no database", "redis://:wrong-secret@localhost/first".to_owned(), "Invalid database number"),
        ("another database", format!("{}/99", open.url()), "cannot connect to Redis at 127.0.0.1"),
        ("wrong password", format!("redis://:wrong-secret@127.0.0.1:{port}"), "cannot connect to Redis at 127.0.0.1"),
        ("wrong user", format!("redis://mary:wrong-secret@127.0.0.1:{port}"), "cannot connect to Redis at 127.0.0.1"),
        ("no password", format!("redis://127.0.0.1:{port}"), "NOAUTH"),
        ("nobody there", format!("redis://:wrong-secret@127.0.0.1:{gone}"), "refused"),
        (
            "no such host",
            "redis://:wrong-secret@redis.invalid".to_owned(),
            "cannot connect to Redis at redis.invalid:6379",
        ),
    ];
    for (name, url, expected) in rows {
        let error = RedisStore::connect(&url).await.expect_err(name);
        for told in [format!("{error}"), format!("{error:?}")] {
            assert!(told.contains(expected), "{name}: {told}");
            assert!(!told.contains("secret"), "{name}: {told}");
        }
    }
    let url = format!("redis://:right-secret@127.0.0.1:{port}");
    let store = RedisStore::connect(&url).await.unwrap();
    win(&store, &event(1), 1).await;
    assert!(!format!("{store:?}").contains("secret"), "{store:?}");
}

/// At the start a server that does not answer is told from one that refuses, in time.
#[tokio::test]
async fn a_start_on_a_frozen_server_ends_in_time() {
    let server = RedisServer::start();
    server.freeze();
    let started = Instant::now();
    let error = RedisStore::connect(&server.url()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

/// What the server refuses is a failure of the store, told in the server's words; when it takes writes again, so does the store.
#[tokio::test]
async fn what_the_server_refuses_is_an_error_until_it_does_not() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let rows = [
        ("a full server", "OOM", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("a replica", "ReadOnly", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        ("no replica", "NOREPLICAS", "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("a user without rights", "can't run this command", "ACL SETUSER default -set", "ACL SETUSER default +@all"),
    ];
    let order = |command: &str| ask::<()>(&server, &command.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    for (round, (name, expected, refuse, accept)) in rows.into_iter().enumerate() {
        let key = event(round as u64);
        order(refuse);
        for (call, error) in [("claim", claim(&store, &key, 1).await.err()), ("check", store.check().await.err())] {
            let told = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(told.contains(expected), "{name}, {call}: {told:?}");
        }
        order(accept);
        win(&store, &key, 1).await;
    }
}

/// What another program has written to an event's key is neither overwritten nor taken for a claim.
#[tokio::test]
async fn what_is_not_the_stores_own_is_an_error() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let key = event(1);
    let rows: [(&str, &[u8]); 4] =
        [("empty", b""), ("text", b"hello"), ("digits", b"1234567890123456789"), ("a state alone", b"P")];
    for (name, value) in rows {
        ask::<()>(&server, &[b"SET", &place(&key), value]);
        assert!(matches!(claim(&store, &key, 1).await, Err(StoreError::Failed(_))), "{name}");
        assert!(!store.complete(&key, Token(1), RETENTION).await.unwrap(), "{name}");
        assert_eq!(ask::<Vec<u8>>(&server, &[b"GET", &place(&key)]), value, "{name}");
    }
    ask::<()>(&server, &[b"DEL", &place(&key)]);
    ask::<()>(&server, &[b"LPUSH", &place(&key), b"hello"]);
    for (name, error, _) in every_call(&store, &key, Token(1)).await {
        let of_the_key = !matches!(name, "claim" | "check");
        assert_eq!(matches!(error, Some(StoreError::Failed(_))), of_the_key, "{name}: {error:?}");
    }
    assert!(matches!(claim(&store, &key, 1).await, Err(StoreError::Failed(_))), "claim");
}

/// A token rises also where the server's clock was set back: above the one that stands at the key.
#[tokio::test]
async fn a_token_from_a_later_clock_is_not_repeated() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    // In the year 2200: so far ahead was the clock.
    let later = 7_258_118_400_000_000_u64;
    for (number, value) in [
        (1, format!("R{later}")),
        // A lease that has lapsed nevertheless.
        (2, format!("P{later}{:016}{}", 1, "x".repeat(48))),
    ] {
        let key = event(number);
        ask::<()>(&server, &[b"SET", &place(&key), value.as_bytes()]);
        let mut last = Token(later);
        for round in 0..5 {
            let token = win(&store, &key, round).await;
            assert!(token > last && token.0 < later + 100, "event {number}, round {round}: {token:?} after {last:?}");
            last = token;
            if round % 2 == 0 {
                assert!(store.release(&key, token).await.unwrap(), "event {number}, round {round}");
            } else {
                assert!(store.complete(&key, token, RETENTION).await.unwrap(), "event {number}, round {round}");
                assert!(store.forget(&key).await.unwrap(), "event {number}, round {round}");
            }
        }
    }
}

/// Durations that no clock can hold are long, and those that are none are over at once.
#[tokio::test]
async fn endless_and_empty_durations_hold() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let (endless, empty) = (event(1), event(2));
    let Ok(ClaimAnswer::Won(token)) = claim_for(&store, &endless, 1, Duration::MAX).await else { panic!("not won") };
    let Ok(ClaimAnswer::InProgress { retry_after }) = claim(&store, &endless, 2).await else { panic!("not held") };
    assert!(retry_after > Duration::from_secs(90 * 365 * 24 * 3_600), "{retry_after:?}");
    assert!(store.renew(&endless, token, Duration::MAX).await.unwrap());
    assert!(store.complete(&endless, token, Duration::MAX).await.unwrap());
    assert_eq!(claim(&store, &endless, 3).await.unwrap(), DONE);
    let mut last = Token(0);
    for round in 0..5 {
        let Ok(ClaimAnswer::Won(token)) = claim_for(&store, &empty, round, Duration::ZERO).await else {
            panic!("round {round} is not won")
        };
        assert!(token > last, "round {round}");
        last = token;
    }
    assert!(store.complete(&empty, last, Duration::ZERO).await.unwrap());
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(win(&store, &empty, 9).await > last);
    for token in [0, 1, u64::MAX, 1 << 53] {
        assert!(!store.renew(&empty, Token(token), LEASE).await.unwrap(), "{token}");
        assert!(!store.complete(&empty, Token(token), LEASE).await.unwrap(), "{token}");
        assert!(!store.release(&empty, Token(token)).await.unwrap(), "{token}");
    }
}

/// Nothing needs a sweep: no key is left without an end, and none lives much longer than what it is for.
#[tokio::test]
async fn every_key_expires() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    store.check().await.unwrap();
    let mut number = 0;
    let mut ends = Vec::new();
    for name in ["in progress", "renewed", "done", "released", "forgotten", "again"] {
        number += 1;
        let key = event(number);
        let token = win(&store, &key, 1).await;
        let done = match name {
            "renewed" => store.renew(&key, token, LEASE).await,
            "done" => store.complete(&key, token, RETENTION).await,
            "released" => store.release(&key, token).await,
            "forgotten" | "again" => {
                store.complete(&key, token, RETENTION).await.unwrap();
                store.forget(&key).await
            }
            _ => Ok(true),
        };
        assert!(done.unwrap(), "{name}");
        if name == "again" {
            win(&store, &key, 2).await;
        }
        ends.push((name, ask::<i64>(&server, &[b"PTTL", &place(&key)])));
    }
    let margin = 600_000;
    for (name, left) in ends {
        let longest = match name {
            "in progress" | "renewed" | "again" => 60_000 + margin,
            "done" => 600_000,
            _ => margin,
        };
        assert!(left > longest - 10_000 && left <= longest, "{name}: {left} ms");
    }
    for key in ask::<Vec<Vec<u8>>>(&server, &[b"KEYS", b"*"]) {
        let left = ask::<i64>(&server, &[b"PTTL", &key]);
        assert!(left != -1, "{} has no end", key.escape_ascii());
    }
}

/// As the type's documentation says, by which a server is sized.
#[tokio::test]
async fn a_done_entry_is_small() {
    let server = RedisServer::start();
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let key = Key::new("circa", "evt_0123456789abcdefghijklmn");
    let token = win(&store, &key, 1).await;
    assert!(store.complete(&key, token, RETENTION).await.unwrap());
    let size: u64 = ask(&server, &[b"MEMORY", b"USAGE", &place(&key)]);
    assert!(size <= 200, "{size} bytes");
}

/// Prints what the documentation says: `cargo test -p circa-receiver --features redis --test redis_store -- --ignored --nocapture memory`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn memory_of_done_entries() {
    const ENTRIES: u64 = 200_000;
    let server = RedisServer::start();
    let store = Arc::new(RedisStore::connect(&server.url()).await.unwrap().response_timeout(PATIENCE));
    let used = || {
        let info: String = ask(&server, &[b"INFO", b"memory"]);
        info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().parse::<u64>().unwrap()
    };
    let key = |number: u64| Key::new("circa", &format!("evt_{number:024}"));
    let before = used();
    let started = Instant::now();
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for number in (task..ENTRIES).step_by(64) {
                    let token = win(&store, &key(number), 1).await;
                    assert!(store.complete(&key(number), token, Duration::from_secs(72 * 3_600)).await.unwrap());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = started.elapsed();
    let each = (used() - before) as f64 / ENTRIES as f64;
    let usage: u64 = ask(&server, &[b"MEMORY", b"USAGE", &place(&key(1))]);
    println!(
        "{ENTRIES} done entries: {each:.1} bytes each by INFO, {usage} by MEMORY USAGE; claimed and completed in {took:?}"
    );
}
