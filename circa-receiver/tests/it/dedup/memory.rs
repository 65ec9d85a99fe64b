//! The memory store: what every store must do, and what only a bounded one in memory must.

use std::time::Duration;

use circa_receiver::{
    Clock, ClockError, DedupStore, MemoryStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, Token},
    testing::{FakeClock, store_tests::Subject},
};

const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);

async fn memory() -> Subject {
    let clock = FakeClock::at(1_747_000_800);
    Subject::new(MemoryStore::with_capacity(250_000).clock(clock.clone()))
        .passing(move |time| {
            clock.advance(time);
            std::future::ready(())
        })
        .lease(LEASE)
        .retention(RETENTION)
        .margin(Duration::from_nanos(1))
}

circa_receiver::store_tests!(memory);

async fn claim(store: &MemoryStore, key: &Key, nonce: u128) -> ClaimAnswer {
    let request = ClaimRequest::new(key, Fingerprint::from_bytes([1; 32]), Nonce::new(nonce), LEASE, RETENTION);
    store.claim(request).await.unwrap()
}

async fn win(store: &MemoryStore, key: &Key, nonce: u128) -> Token {
    let ClaimAnswer::Won(token) = claim(store, key, nonce).await else { panic!("{key:?} was not won") };
    token
}

fn keys(prefix: &str, count: u128) -> impl Iterator<Item = (u128, Key)> {
    (0..count).map(move |index| (index, Key::new(prefix, &index.to_string())))
}

fn is_done(answer: ClaimAnswer) -> bool {
    matches!(answer, ClaimAnswer::Done { .. })
}

/// How many claims the store holds in progress, as its `Debug` tells.
fn in_progress(store: &MemoryStore) -> usize {
    let text = format!("{store:?}");
    let (_, count) = text.split_once("in_progress: ").unwrap();
    count.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// Contract, section 7: when full it evicts the oldest done entry, counted.
#[tokio::test]
async fn when_full_done_entries_are_evicted_and_counted() {
    let store = MemoryStore::with_capacity(100).clock(FakeClock::at(0));
    for (nonce, key) in keys("done", 100) {
        let token = win(&store, &key, nonce).await;
        assert!(store.complete(&key, token, RETENTION).await.unwrap());
    }
    assert_eq!(store.evicted(), 0, "it is full, not more than full");
    for (nonce, key) in keys("more", 50) {
        let token = win(&store, &key, nonce).await;
        assert!(store.complete(&key, token, RETENTION).await.unwrap());
    }
    assert_eq!(store.evicted(), 50);
    for (index, (nonce, key)) in keys("done", 100).enumerate() {
        assert_eq!(
            is_done(claim(&store, &key, nonce + 1_000).await),
            index >= 50,
            "entry {index}: the oldest go first"
        );
    }
}

/// Contract, section 7: it never drops a fresh claim. A done entry that is dropped as soon as it is
/// made would be one.
#[tokio::test]
async fn the_newest_done_entry_is_never_evicted() {
    for capacity in [0, 1, 2, 10] {
        let store = MemoryStore::with_capacity(capacity).clock(FakeClock::at(0));
        for (nonce, key) in keys("newest", 2_000) {
            let token = win(&store, &key, nonce).await;
            assert!(store.complete(&key, token, RETENTION).await.unwrap());
            // Once with its housekeeping done, once without.
            if nonce % 2 == 0 {
                store.evicted();
            }
            assert!(is_done(claim(&store, &key, nonce + 1_000_000).await), "capacity {capacity}, entry {nonce}");
        }
    }
}

/// Contract, section 7: it never drops a claim in progress.
#[tokio::test]
async fn a_claim_in_progress_is_never_evicted() {
    let store = MemoryStore::with_capacity(10).clock(FakeClock::at(0));
    let mut held = Vec::new();
    for (nonce, key) in keys("held", 5_000) {
        held.push((win(&store, &key, nonce).await, key));
    }
    for (nonce, key) in keys("done", 5_000) {
        let token = win(&store, &key, nonce).await;
        assert!(store.complete(&key, token, RETENTION).await.unwrap());
    }
    store.evicted();
    for (token, key) in held {
        assert!(!is_done(claim(&store, &key, u128::MAX).await));
        assert!(store.renew(&key, token, LEASE).await.unwrap(), "{key:?} was dropped");
    }
}

/// Contract, section 7: bounded. Claims whose holders are gone do not stay for ever.
#[tokio::test]
async fn lapsed_claims_are_swept() {
    let clock = FakeClock::at(0);
    let store = MemoryStore::default().clock(clock.clone());
    for (nonce, key) in keys("lapsing", 200_000) {
        win(&store, &key, nonce).await;
    }
    assert_eq!(in_progress(&store), 200_000, "none has lapsed");
    clock.advance(LEASE);
    for (nonce, key) in keys("fresh", 100_000) {
        win(&store, &key, nonce).await;
    }
    assert!(in_progress(&store) <= 100_000, "{} in progress", in_progress(&store));
    for (_, key) in keys("fresh", 100_000) {
        assert!(matches!(claim(&store, &key, u128::MAX).await, ClaimAnswer::InProgress { .. }), "{key:?} was swept");
    }
}

/// A claim that was swept is lost to its holder, as if it had been taken over.
#[tokio::test]
async fn a_swept_claim_is_fenced() {
    let clock = FakeClock::at(0);
    let store = MemoryStore::default().clock(clock.clone());
    let key = Key::new("swept", "1");
    let token = win(&store, &key, u128::MAX).await;
    clock.advance(LEASE);
    for (nonce, key) in keys("fresh", 5_000) {
        win(&store, &key, nonce).await;
    }
    assert_eq!(in_progress(&store), 5_000);
    assert!(!store.complete(&key, token, RETENTION).await.unwrap());
    assert!(matches!(claim(&store, &key, 1).await, ClaimAnswer::Won(_)));
}

/// Contract, section 3: windows that are durations use a monotonic clock where the store is
/// in-process.
#[tokio::test]
async fn the_wall_clock_does_not_move_leases_or_retention() {
    let clock = FakeClock::at(1_747_000_800);
    let store = MemoryStore::default().clock(clock.clone());
    let (held, done) = (Key::new("held", "1"), Key::new("done", "1"));
    win(&store, &held, 1).await;
    let token = win(&store, &done, 2).await;
    store.complete(&done, token, RETENTION).await.unwrap();
    for now in [0, -1, i64::MAX, i64::MIN] {
        clock.set(now);
        assert_eq!(claim(&store, &held, 3).await, ClaimAnswer::InProgress { retry_after: LEASE }, "{now}");
        assert!(is_done(claim(&store, &done, 3).await), "{now}");
    }
}

/// Durations that reach beyond the end of time do not overflow.
#[tokio::test]
async fn endless_leases_and_retentions_hold() {
    struct Late;

    impl Clock for Late {
        fn unix_seconds(&self) -> Result<i64, ClockError> {
            Ok(0)
        }

        fn monotonic(&self) -> Duration {
            Duration::MAX - Duration::from_secs(1)
        }
    }

    let store = MemoryStore::default().clock(Late);
    let key = Key::new("endless", "1");
    let request =
        ClaimRequest::new(&key, Fingerprint::from_bytes([1; 32]), Nonce::new(1), Duration::MAX, Duration::MAX);
    let ClaimAnswer::Won(token) = store.claim(request).await.unwrap() else { panic!("not won") };
    assert!(store.renew(&key, token, Duration::MAX).await.unwrap());
    assert!(store.complete(&key, token, Duration::MAX).await.unwrap());
    assert!(is_done(claim(&store, &key, 2).await));
}

/// Each `complete` starts a retention of its own, also of a key that was done before.
#[tokio::test]
async fn completing_again_prolongs_the_retention() {
    let clock = FakeClock::at(0);
    let store = MemoryStore::default().clock(clock.clone());
    let key = Key::new("again", "1");
    for round in 0..3 {
        let token = win(&store, &key, round).await;
        store.complete(&key, token, RETENTION).await.unwrap();
        clock.advance(RETENTION - Duration::from_nanos(1));
        assert!(is_done(claim(&store, &key, 100 + round).await), "round {round}");
        clock.advance(Duration::from_nanos(1));
    }
}
