//! A claim that another process holds: waited for, taken over when its lease has lapsed, never
//! before.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use circa_receiver::{
    DedupStore, MemoryStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, StoreError, Token},
    testing::FakeClock,
};
use tokio::time::Instant;

use super::{RETENTION, again, two_processes};
use crate::support::receiving::{
    DUPLICATE, Endpoint, Fault, Gate, HANDLED, NOW, Request, ScriptedStore, UNAVAILABLE, answer, circa, header,
    seconds, settle,
};

/// A claim held by another process: wait for it, then duplicate.
#[tokio::test(start_paused = true)]
async fn a_claim_held_by_another_process_is_waited_for() {
    let (gate, other_gate) = (Gate::closed(), Gate::open());
    let [here, there] = two_processes(&ScriptedStore::memory(), &gate, &other_gate);
    let first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let second = there.spawn(&Request::circa("evt_1"));
    tokio::time::sleep(seconds(5)).await;
    assert!(!second.is_finished());
    gate.let_go(1);
    let released = Instant::now();
    assert_eq!(answer(&first.await.unwrap()), HANDLED);
    assert_eq!(answer(&second.await.unwrap()), DUPLICATE);
    assert!(released.elapsed() <= seconds(1), "{:?}", released.elapsed());
    assert_eq!((gate.started(), other_gate.started()), (1, 0));
}

/// As above, when it does not end: 503 with `Retry-After: 30` by the ack deadline, and the store is
/// not asked without pause.
#[tokio::test(start_paused = true)]
async fn a_claim_held_by_another_process_is_not_waited_for_beyond_the_ack_deadline() {
    let (gate, other_gate) = (Gate::closed(), Gate::open());
    let store = ScriptedStore::memory();
    let [here, there] = two_processes(&store, &gate, &other_gate);
    let _first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let start = Instant::now();
    let second = there.deliver(&Request::circa("evt_1")).await;
    assert_eq!(answer(&second), UNAVAILABLE);
    assert_eq!(header(&second, "retry-after"), Some("30"));
    assert!(start.elapsed() >= seconds(10) && start.elapsed() < seconds(11), "{:?}", start.elapsed());
    assert!(store.calls("claim") < 30, "{} calls", store.calls("claim"));
}

/// Contract, section 7: in progress -> absent on lease expiry. A process that died holds nobody up
/// for longer.
#[tokio::test(start_paused = true)]
async fn a_claim_of_a_process_that_died_is_taken_over_when_its_lease_lapses() {
    let store = ScriptedStore::memory();
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa().dedup(store.clone()), gate.routes());
    let key = Key::new("circa", "evt_1");
    let fingerprint = Fingerprint::from_bytes([1; 32]);
    let request = ClaimRequest::new(&key, fingerprint, Nonce::new(1), seconds(12), RETENTION);
    assert!(matches!(store.claim(request).await, Ok(ClaimAnswer::Won(_))));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAVAILABLE, "10 s are not enough");
    let start = Instant::now();
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "another 2 s are");
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_millis(2_100), "as soon as the lease has lapsed: {elapsed:?}");
    assert_eq!(gate.started(), 1);
}

/// As above: however long it runs, no other process takes the claim over.
#[tokio::test(start_paused = true)]
async fn a_handler_that_runs_longer_than_its_lease_is_not_overtaken() {
    let (gate, other_gate) = (Gate::closed(), Gate::open());
    let start = Instant::now();
    let [here, there] = two_processes(&ScriptedStore::memory(), &gate, &other_gate);
    let _first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    for _ in 0..10 {
        tokio::time::sleep(seconds(59)).await;
        assert_eq!(answer(&there.deliver(&again(start)).await), UNAVAILABLE);
    }
    gate.let_go(1);
    settle().await;
    assert_eq!(answer(&there.deliver(&again(start)).await), DUPLICATE);
    assert_eq!((gate.started(), other_gate.started()), (1, 0));
}

/// Notes what the store is asked, and never gives a claim.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Question>>>);

#[derive(Clone, Debug, PartialEq)]
struct Question {
    key: Key,
    fingerprint: Fingerprint,
    nonce: Nonce,
    lease: Duration,
    retention: Duration,
}

#[async_trait]
impl DedupStore for Asked {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.0.lock().unwrap().push(Question {
            key: request.key().clone(),
            fingerprint: request.fingerprint(),
            nonce: request.nonce(),
            lease: request.lease(),
            retention: request.retention(),
        });
        Ok(ClaimAnswer::InProgress { retry_after: seconds(60) })
    }

    async fn renew(&self, _: &Key, _: Token, _: Duration) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn complete(&self, _: &Key, _: Token, _: Duration) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn release(&self, _: &Key, _: Token) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn withdraw(&self, _: &Key, _: Nonce) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn forget(&self, _: &Key) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// The nonce names a delivery: the same while it asks again, another for each delivery. Defaults:
/// lease 60 s, retention 72 h.
#[tokio::test(start_paused = true)]
async fn a_delivery_asks_with_one_nonce_and_the_defaults() {
    let asked = Asked::default();
    let endpoint = Endpoint::new(circa().dedup(asked.clone()), Gate::open().routes());
    let request = Request::circa("evt_1");
    let mut nonces = Vec::new();
    for _ in 0..3 {
        assert_eq!(answer(&endpoint.deliver(&request).await), UNAVAILABLE);
        let asked = std::mem::take(&mut *asked.0.lock().unwrap());
        assert!(asked.len() > 5, "asked {} times", asked.len());
        let expected = Question {
            key: Key::new("circa", "evt_1"),
            fingerprint: asked[0].fingerprint,
            nonce: asked[0].nonce,
            lease: seconds(60),
            retention: RETENTION,
        };
        assert!(asked.iter().all(|question| *question == expected), "{asked:?}");
        assert!(!nonces.contains(&expected.nonce), "another nonce for another delivery");
        nonces.push(expected.nonce);
    }
}

/// The store's clock rules, never the caller's.
#[tokio::test(start_paused = true)]
async fn the_stores_clock_rules_the_lease() {
    let clock = FakeClock::at(NOW);
    let store = ScriptedStore::new(MemoryStore::default().clock(clock.clone()));
    let (gate, other_gate) = (Gate::closed(), Gate::open());
    let start = Instant::now();
    let [here, there] = two_processes(&store, &gate, &other_gate);
    store.script("renew", Fault::Fail, usize::MAX);
    let _first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    tokio::time::sleep(seconds(800)).await;
    assert_eq!(answer(&there.deliver(&again(start)).await), UNAVAILABLE, "the store's time stood still");
    clock.advance(seconds(60));
    assert_eq!(answer(&there.deliver(&again(start)).await), HANDLED);
}
