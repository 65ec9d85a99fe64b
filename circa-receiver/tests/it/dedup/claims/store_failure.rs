//! A store that fails or does not answer: 503 in time, or no dedup where that was chosen.

use std::time::Duration;

use circa_receiver::{StoreFailure, dedup::StoreError};
use tokio::time::Instant;

use super::with_store;
use crate::support::receiving::{
    DUPLICATE, Endpoint, Fault, Gate, HANDLED, Request, ScriptedStore, UNAVAILABLE, answer, circa, header, seconds,
    settle,
};

/// Forgetting tells of a store that does not answer, within the store's timeout.
#[tokio::test(start_paused = true)]
async fn forgetting_tells_of_a_store_that_fails() {
    let store = ScriptedStore::memory();
    let endpoint = Endpoint::new(circa().dedup(store.clone()), Gate::open().routes());
    store.script("forget", Fault::Fail, 1);
    assert!(matches!(endpoint.receiver.forget("evt_1").await, Err(StoreError::Failed(_))));
    store.script("forget", Fault::Hang, 1);
    let start = Instant::now();
    assert!(matches!(endpoint.receiver.forget("evt_1").await, Err(StoreError::Timeout)));
    assert!(start.elapsed() < seconds(3), "{:?}", start.elapsed());
}

/// Contract, section 7: a claim that fails or is not answered is repeated: a blink of the store is
/// not the sender's business.
#[tokio::test(start_paused = true)]
async fn a_stores_blink_is_bridged() {
    for (fault, times) in [(Fault::Fail, 20), (Fault::DoneButFails, 20), (Fault::Hang, 3), (Fault::DoneButHangs, 3)] {
        let gate = Gate::open();
        let (endpoint, store) = with_store(circa(), &gate);
        store.script("claim", fault, times);
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
        assert_eq!(store.calls("claim"), times + 1, "{fault:?}");
        assert_eq!((gate.started(), store.calls("withdraw")), (1, 0), "{fault:?}");
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE, "{fault:?}");
    }
}

/// Contract, section 7: until 2 s before the ack deadline (default 10 s); only then 503
/// `store_unavailable`.
#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_claim_is_answered_503_before_the_ack_deadline() {
    for fault in [Fault::Fail, Fault::Hang, Fault::DoneButFails, Fault::DoneButHangs] {
        let gate = Gate::open();
        let (endpoint, store) = with_store(circa(), &gate);
        store.script("claim", fault, usize::MAX);
        let start = Instant::now();
        let response = endpoint.deliver(&Request::circa("evt_1")).await;
        assert_eq!(answer(&response), UNAVAILABLE, "{fault:?}");
        assert_eq!(header(&response, "retry-after"), None, "{fault:?}");
        assert!(start.elapsed() > seconds(7) && start.elapsed() <= seconds(10), "{fault:?}: {:?}", start.elapsed());
        assert_eq!(gate.started(), 0, "{fault:?}");
        assert_eq!(endpoint.notes.count("store error at claim"), 1, "{fault:?}");
        assert_eq!(endpoint.notes.reason().as_deref(), Some("store_unavailable"), "{fault:?}");
        // What the claims may have left is withdrawn.
        settle().await;
        assert_eq!(store.calls("withdraw"), 1, "{fault:?}");
        store.script("claim", fault, 0);
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
    }
}

/// Contract, section 7: or, where the user chose it explicitly, run without dedup.
#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_claim_is_done_without_where_that_was_chosen() {
    for fault in [Fault::Fail, Fault::Hang] {
        let gate = Gate::open();
        let (endpoint, store) = with_store(circa().on_store_failure(StoreFailure::RunWithoutDedup), &gate);
        store.script("claim", fault, usize::MAX);
        let start = Instant::now();
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
        assert!(start.elapsed() <= seconds(10), "{fault:?}: {:?}", start.elapsed());
        store.script("claim", fault, 0);
        assert_eq!(endpoint.notes.count("store error at claim"), 1, "{fault:?}");
        assert_eq!((store.calls("complete"), store.calls("release")), (0, 0), "{fault:?}: nothing was claimed");
        assert_eq!(
            answer(&endpoint.deliver(&Request::circa("evt_1")).await),
            HANDLED,
            "{fault:?}: once more, with dedup"
        );
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE, "{fault:?}");
        assert_eq!(gate.started(), 2, "{fault:?}");
    }
}

/// The store's timeout can be chosen.
#[tokio::test(start_paused = true)]
async fn the_store_timeout_can_be_chosen() {
    let (endpoint, store) = with_store(circa().store_timeout(Duration::from_millis(150)), &Gate::open());
    store.script("claim", Fault::Hang, 1);
    let start = Instant::now();
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    // The timeout, and the first pause.
    assert!(start.elapsed() < Duration::from_millis(210), "{:?}", start.elapsed());
}

/// Contract, section 7: if the handler succeeded and only `complete` failed: retry briefly ...
#[tokio::test(start_paused = true)]
async fn a_complete_that_fails_is_tried_again() {
    for fault in [Fault::Fail, Fault::Hang] {
        let gate = Gate::open();
        let (endpoint, store) = with_store(circa(), &gate);
        store.script("complete", fault, 1);
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
        assert_eq!(store.calls("complete"), 2, "{fault:?}");
        assert_eq!(endpoint.notes.count("store error"), 0, "{fault:?}: it went well in the end");
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE, "{fault:?}");
        assert_eq!(gate.started(), 1, "{fault:?}");
    }
}

/// As above: ... then 200 with an error counter.
#[tokio::test(start_paused = true)]
async fn a_complete_that_keeps_failing_is_answered_200_and_told() {
    for fault in [Fault::Fail, Fault::Hang] {
        let (endpoint, store) = with_store(circa(), &Gate::open());
        store.script("complete", fault, usize::MAX);
        let start = Instant::now();
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
        assert!(start.elapsed() < seconds(10), "{fault:?}: {:?}", start.elapsed());
        assert_eq!(endpoint.notes.count("store error at complete"), 1, "{fault:?}");
        assert_eq!(endpoint.notes.count("handled"), 1, "{fault:?}");
        assert_eq!(store.calls("release"), 0, "{fault:?}: what succeeded is not released");
    }
}

/// An answer to `complete` that was lost is no loss: the claim is spent, and nobody else has it.
#[tokio::test(start_paused = true)]
async fn a_complete_whose_answer_was_lost_leaves_the_event_done() {
    for fault in [Fault::DoneButFails, Fault::DoneButHangs] {
        let (endpoint, store) = with_store(circa(), &Gate::open());
        store.script("complete", fault, 1);
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE, "{fault:?}");
    }
}
