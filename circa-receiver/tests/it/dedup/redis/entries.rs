//! What stands at a key: for how long, with which token, and how large it is.

use circa_receiver_test_support::redis::RedisServer;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore,
    dedup::{ClaimAnswer, Key, Token},
};

use super::{DONE, LEASE, RETENTION, ask, claim, claim_for, event, place, store_of, win};

/// A call whose answer was lost is made again, and tells what the first would have.
#[tokio::test]
async fn a_call_whose_answer_was_lost_may_be_repeated() {
    let server = RedisServer::start();
    let store = store_of(&server).await;
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

/// A token rises also where the server's clock was set back: above the one that stands at the key.
#[tokio::test]
async fn a_token_from_a_later_clock_is_not_repeated() {
    let server = RedisServer::start();
    let store = store_of(&server).await;
    // In the year 2200: so far ahead was the clock.
    let later = 7_258_118_400_000_000_u64;
    for (number, value) in [
        (1, format!("R{later}")),
        // A lease that has lapsed nevertheless.
        (2, format!("P{later}{:016}{}", 1, "x".repeat(48))),
    ] {
        let key = event(number);
        ask::<()>(&server, &[b"SET", &place(&key), value.as_bytes()]);
        let mut last = Token::new(later);
        for round in 0..5 {
            let token = win(&store, &key, round).await;
            assert!(
                token > last && token.get() < later + 100,
                "event {number}, round {round}: {token:?} after {last:?}"
            );
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
    let store = store_of(&server).await.response_timeout(Duration::MAX);
    let (endless, empty) = (event(1), event(2));
    let Ok(ClaimAnswer::Won(token)) = claim_for(&store, &endless, 1, Duration::MAX).await else { panic!("not won") };
    // A claim with a shorter lease would cap it.
    let answer = claim_for(&store, &endless, 2, Duration::MAX).await;
    let Ok(ClaimAnswer::InProgress { retry_after }) = answer else { panic!("not held") };
    assert!(retry_after > Duration::from_secs(90 * 365 * 24 * 3_600), "{retry_after:?}");
    assert!(store.renew(&endless, token, Duration::MAX).await.unwrap());
    assert!(store.complete(&endless, token, Duration::MAX).await.unwrap());
    assert_eq!(claim(&store, &endless, 3).await.unwrap(), DONE);
    let mut last = Token::new(0);
    for round in 0..5 {
        let Ok(ClaimAnswer::Won(token)) = claim_for(&store, &empty, round, Duration::ZERO).await else {
            panic!("round {round} is not won")
        };
        assert!(token > last, "round {round}");
        last = token;
    }
    assert!(store.complete(&empty, last, Duration::ZERO).await.unwrap());
    // A retention of nothing is one of a millisecond.
    let again = loop {
        match claim(&store, &empty, 9).await.unwrap() {
            ClaimAnswer::Done { .. } => tokio::task::yield_now().await,
            ClaimAnswer::Won(token) => break token,
            other => panic!("{other:?}"),
        }
    };
    assert!(again > last);
    for token in [0, 1, u64::MAX, 1 << 53] {
        assert!(!store.renew(&empty, Token::new(token), LEASE).await.unwrap(), "{token}");
        assert!(!store.complete(&empty, Token::new(token), LEASE).await.unwrap(), "{token}");
        assert!(!store.release(&empty, Token::new(token)).await.unwrap(), "{token}");
    }
}

/// Nothing needs a sweep: no key is left without an end, and none lives much longer than what it is for.
#[tokio::test]
async fn every_key_expires() {
    let server = RedisServer::start();
    let store = store_of(&server).await;
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
    let store = store_of(&server).await;
    let key = Key::new("circa", "evt_0123456789abcdefghijklmn");
    let token = win(&store, &key, 1).await;
    assert!(store.complete(&key, token, RETENTION).await.unwrap());
    let size: u64 = ask(&server, &[b"MEMORY", b"USAGE", &place(&key)]);
    assert!(size <= 200, "{size} bytes");
}

/// Prints what the documentation says: `cargo test -p circa-receiver --features redis --test it -- --ignored --nocapture memory_of_done`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn memory_of_done_entries() {
    const ENTRIES: u64 = 200_000;
    let server = RedisServer::start();
    let store = Arc::new(store_of(&server).await);
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
