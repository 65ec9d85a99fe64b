//! The lease of a claim: renewed while the handler runs; a claim that was lost is neither completed
//! nor released.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use circa_receiver::{DedupStore, HandlerError};
use tokio::time::Instant;

use super::{again, two_processes, with_store};
use crate::support::receiving::{
    DUPLICATE, Endpoint, FAILED, Fault, Gate, HANDLED, Request, ScriptedStore, UNAVAILABLE, answer, circa, routes,
    seconds, settle,
};

/// Contract, section 7: the lease (default 60 s) is renewed while the handler runs; design: at a
/// third.
#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_at_a_third_while_the_handler_runs() {
    let gate = Gate::closed();
    let (endpoint, store) = with_store(circa(), &gate);
    let start = Instant::now();
    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    for (at, renewals) in [(19, 0), (21, 1), (41, 2), (61, 3), (301, 15)] {
        tokio::time::sleep_until(start + seconds(at)).await;
        assert_eq!(store.calls("renew"), renewals, "after {at} s");
    }
    assert_eq!(answer(&first.await.unwrap()), UNAVAILABLE, "answered long ago");
    gate.let_go(1);
    settle().await;
    assert_eq!(answer(&endpoint.deliver(&again(start)).await), DUPLICATE);
    tokio::time::sleep(seconds(100)).await;
    assert_eq!(store.calls("renew"), 15, "no renewal of what is done");
    assert_eq!(gate.started(), 1);
}

/// A renewal that fails is told, and the handler goes on; the next renewal may do.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_is_told_and_tried_again() {
    for fault in [Fault::Fail, Fault::Hang] {
        let gate = Gate::closed();
        let start = Instant::now();
        let (endpoint, store) = with_store(circa(), &gate);
        store.script("renew", fault, 1);
        let _first = endpoint.spawn(&Request::circa("evt_1"));
        gate.arrival().await;
        tokio::time::sleep(seconds(70)).await;
        assert_eq!(endpoint.notes.count("store error at renew"), 1, "{fault:?}");
        // At 20 s, again after a second, and at a third of the lease each time after that.
        assert_eq!(store.calls("renew"), 4, "{fault:?}");
        gate.let_go(1);
        settle().await;
        assert_eq!(answer(&endpoint.deliver(&again(start)).await), DUPLICATE, "{fault:?}");
        assert_eq!(endpoint.notes.count("claim lost"), 0, "{fault:?}");
        assert_eq!(gate.started(), 1, "{fault:?}");
    }
}

/// A store that hangs on every renewal does not hold the handler up.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_hangs_does_not_hold_the_handler_up() {
    let gate = Gate::closed();
    let (endpoint, store) = with_store(circa().ack_deadline(seconds(5)).lease(seconds(6)), &gate);
    store.script("renew", Fault::Hang, usize::MAX);
    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    tokio::time::sleep(seconds(3)).await;
    assert_eq!(store.calls("renew"), 1, "the renewal is under way");
    gate.let_go(1);
    let start = Instant::now();
    assert_eq!(answer(&first.await.unwrap()), HANDLED);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

/// Contract, section 7: `complete` takes the claim's token and does nothing if the claim has since
/// passed to another holder.
#[tokio::test(start_paused = true)]
async fn a_claim_that_was_lost_is_told_and_not_completed() {
    let (gate, other_gate) = (Gate::closed(), Gate::closed());
    let store = ScriptedStore::memory();
    let start = Instant::now();
    let [here, there] = two_processes(&store, &gate, &other_gate);
    // As a process that stood still: its lease lapses.
    store.script("renew", Fault::Fail, usize::MAX);
    let _first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    tokio::time::sleep(seconds(61)).await;
    let _second = there.spawn(&again(start));
    other_gate.arrival().await;
    gate.let_go(1);
    settle().await;
    assert_eq!(here.notes.count("claim lost"), 1);
    let third = there.spawn(&again(start));
    settle().await;
    assert!(!third.is_finished(), "the second run's claim was completed by the first run");
    other_gate.let_go(1);
    settle().await;
    assert_eq!(answer(&third.await.unwrap()), DUPLICATE);
    assert_eq!(there.notes.count("claim lost"), 0);
}

/// As above, for `release`: a run that failed does not give up what another holds.
#[tokio::test(start_paused = true)]
async fn a_claim_that_was_lost_is_not_released() {
    let (gate, other_gate) = (Gate::closed(), Gate::closed());
    let store = ScriptedStore::memory();
    store.script("renew", Fault::Fail, usize::MAX);
    let start = Instant::now();
    let shared: Arc<dyn DedupStore> = Arc::new(store.clone());
    let here = Endpoint::new(circa().dedup(Arc::clone(&shared)), {
        let gate = gate.clone();
        routes(move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Err(HandlerError::retryable("too late"))
            }
        })
    });
    let there = Endpoint::new(circa().dedup(shared), other_gate.routes());
    let _first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    tokio::time::sleep(seconds(61)).await;
    let _second = there.spawn(&again(start));
    other_gate.arrival().await;
    gate.let_go(1);
    settle().await;
    let third = there.spawn(&again(start));
    settle().await;
    assert!(!third.is_finished());
    assert_eq!(other_gate.started(), 1, "the claim was released under the second run");
    assert_eq!(here.notes.count("claim lost"), 1);
}

/// A lost claim that a renewal finds out is told once, and the handler goes on.
#[tokio::test(start_paused = true)]
async fn a_renewal_that_finds_the_claim_lost_tells_it_once() {
    let (gate, other_gate) = (Gate::closed(), Gate::open());
    let store = ScriptedStore::memory();
    let start = Instant::now();
    let [here, there] = two_processes(&store, &gate, &other_gate);
    // From 20 s on renewals fail, once a second; at 66 s the first gets through, and it is too
    // late.
    store.script("renew", Fault::Fail, 46);
    let _first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    tokio::time::sleep(seconds(65)).await;
    assert_eq!(answer(&there.deliver(&again(start)).await), HANDLED);
    tokio::time::sleep(seconds(65)).await;
    assert_eq!(here.notes.count("claim lost"), 1);
    assert_eq!(store.calls("renew"), 47, "what is lost is renewed no more");
    gate.let_go(1);
    settle().await;
    assert_eq!(gate.ended(), 1, "the handler was stopped");
}

/// A release that fails is told; the lease lapses by itself.
#[tokio::test(start_paused = true)]
async fn a_release_that_fails_is_told_and_the_lease_lapses() {
    for fault in [Fault::Fail, Fault::Hang] {
        let store = ScriptedStore::memory();
        let failing = Arc::new(AtomicBool::new(true));
        let start = Instant::now();
        let endpoint = Endpoint::new(circa().dedup(store.clone()), {
            let failing = Arc::clone(&failing);
            routes(move |_| {
                let fails = failing.load(Ordering::SeqCst);
                async move { if fails { Err("away".into()) } else { Ok(()) } }
            })
        });
        store.script("release", fault, usize::MAX);
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), FAILED, "{fault:?}");
        assert_eq!(endpoint.notes.count("store error at release"), 1, "{fault:?}");
        failing.store(false, Ordering::SeqCst);
        tokio::time::sleep(seconds(61)).await;
        assert_eq!(answer(&endpoint.deliver(&again(start)).await), HANDLED, "{fault:?}");
    }
}
