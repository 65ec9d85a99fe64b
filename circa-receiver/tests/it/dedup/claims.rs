//! Dedup: one run per event, whatever comes at once, again, elsewhere or while the store fails: contract, section 7.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, FAILED, Fault, Gate, HANDLED, NOW, Request, SECRET, ScriptedStore, UNAVAILABLE, answer,
    circa, circa_body, circularo, circularo_body, header, routes, seconds, settle,
};
use async_trait::async_trait;
use circa_receiver::{
    Builder, DedupStore, HandlerError, MemoryStore, StoreFailure,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, StoreError, Token},
    testing::{CircaSigner, FakeClock},
};
use tokio::time::Instant;

const RETENTION: Duration = Duration::from_secs(72 * 3_600);

/// One hundred identical deliveries at once: one runs, and all are told that the event is handled.
async fn a_hundred_at_once(yielding_store: bool) {
    let store = ScriptedStore::memory();
    if yielding_store {
        for operation in ["claim", "complete"] {
            store.script(operation, Fault::Yield, usize::MAX);
        }
    }
    let runs = Arc::new(AtomicUsize::new(0));
    let endpoint = Endpoint::new(circa().dedup(store), {
        let runs = Arc::clone(&runs);
        routes(move |_| {
            let runs = Arc::clone(&runs);
            async move {
                runs.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(())
            }
        })
    });
    let request = Request::circa("evt_1");
    let waiting: Vec<_> = (0..100).map(|_| endpoint.spawn(&request)).collect();
    let mut answers = Vec::new();
    for response in waiting {
        answers.push(answer(&response.await.unwrap()));
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == HANDLED).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| **answer == DUPLICATE).count(), 99, "{answers:?}");
}

#[tokio::test]
async fn a_hundred_at_once_run_once_on_one_thread() {
    a_hundred_at_once(false).await;
    a_hundred_at_once(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_at_once_run_once_on_many_threads() {
    for _ in 0..20 {
        a_hundred_at_once(false).await;
        a_hundred_at_once(true).await;
    }
}

/// Contract, section 7: done -> 200 `duplicate`.
#[tokio::test]
async fn the_same_event_again_is_a_duplicate() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let first = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!(answer(&first), HANDLED);
    for _ in 0..3 {
        let again = endpoint.deliver(&Request::circa("evt_1")).await;
        assert_eq!(answer(&again), DUPLICATE);
        assert_eq!(header(&again, "circa-receiver-outcome"), Some("duplicate"));
    }
    assert_eq!(gate.started(), 1);
    assert_eq!(endpoint.notes.count("duplicate same_body=true"), 3);
}

/// A retry is signed anew; it is the same event all the same.
#[tokio::test]
async fn a_retry_with_another_signature_is_the_same_event() {
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    let request = Request::circa("evt_1");
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
    let retry = request.resigned(&CircaSigner::new(SECRET), NOW + 30);
    assert_eq!(answer(&endpoint.deliver(&retry).await), DUPLICATE);
}

/// Contract, section 5: Circularo's event id is the SHA-256 of the body: the same bytes are one event, any other byte is another.
#[tokio::test]
async fn circularos_events_are_told_apart_by_their_bytes() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circularo(), gate.routes());
    let request = Request::circularo(circularo_body("doc"));
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
    assert_eq!(answer(&endpoint.deliver(&request).await), DUPLICATE);
    let spaced = Request::circularo(circularo_body("doc") + " ");
    assert_eq!(answer(&endpoint.deliver(&spaced).await), HANDLED);
    assert_eq!(gate.started(), 2);
}

/// Contract, section 7: in progress -> wait for it and give its answer.
#[tokio::test(start_paused = true)]
async fn a_repeated_delivery_waits_for_the_run_and_is_a_duplicate() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let waiting: Vec<_> = (0..10).map(|_| endpoint.spawn(&Request::circa("evt_1"))).collect();
    settle().await;
    assert!(
        waiting.iter().all(|waiting| !waiting.is_finished()),
        "never 2xx for an event whose first run may still fail"
    );
    gate.let_go(1);
    assert_eq!(answer(&first.await.unwrap()), HANDLED);
    for response in waiting {
        assert_eq!(answer(&response.await.unwrap()), DUPLICATE);
    }
    assert_eq!(gate.started(), 1);
}

/// As above, for a run that fails: its answer is 500 for all who waited, and there was one run.
#[tokio::test(start_paused = true)]
async fn all_who_wait_for_a_run_that_fails_are_answered_500() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), {
        let gate = gate.clone();
        routes(move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Err("the database is away".into())
            }
        })
    });
    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let waiting: Vec<_> = (0..10).map(|_| endpoint.spawn(&Request::circa("evt_1"))).collect();
    settle().await;
    gate.let_go(1);
    assert_eq!(answer(&first.await.unwrap()), FAILED);
    for response in waiting {
        assert_eq!(answer(&response.await.unwrap()), FAILED);
    }
    assert_eq!(gate.started(), 1, "one run for all");
    gate.let_go(1);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), FAILED);
    assert_eq!(gate.started(), 2, "released: the next delivery runs again");
}

/// Contract, section 7: if it has not ended by the ack deadline: 503 with `Retry-After: 30`.
#[tokio::test(start_paused = true)]
async fn who_waits_until_the_ack_deadline_is_told_to_come_back() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let _first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    tokio::time::advance(seconds(4)).await;
    let start = Instant::now();
    let second = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!(answer(&second), UNAVAILABLE);
    assert_eq!(header(&second, "retry-after"), Some("30"));
    assert!(
        start.elapsed() >= seconds(10) && start.elapsed() < seconds(11),
        "its own deadline counts: {:?}",
        start.elapsed()
    );
    gate.let_go(1);
    settle().await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
    assert_eq!(gate.started(), 1);
}

/// Two receivers, as in two processes, on one store.
fn two_processes(store: &ScriptedStore, first: &Gate, second: &Gate) -> [Endpoint; 2] {
    let store: Arc<dyn DedupStore> = Arc::new(store.clone());
    [first, second].map(|gate| Endpoint::new(circa().shared_dedup(Arc::clone(&store)), gate.routes()))
}

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

/// As above, when it does not end: 503 with `Retry-After: 30` by the ack deadline, and the store is not asked without pause.
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

/// Contract, section 7: in progress -> absent on lease expiry. A process that died holds nobody up for longer.
#[tokio::test(start_paused = true)]
async fn a_claim_of_a_process_that_died_is_taken_over_when_its_lease_lapses() {
    let store = ScriptedStore::memory();
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa().dedup(store.clone()), gate.routes());
    let key = Key::new("circa", "evt_1");
    let fingerprint = Fingerprint::from_bytes([1; 32]);
    let request = ClaimRequest::new(&key, fingerprint, Nonce(1), seconds(12), RETENTION);
    assert!(matches!(store.claim(request).await, Ok(ClaimAnswer::Won(_))));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAVAILABLE, "10 s are not enough");
    let start = Instant::now();
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "another 2 s are");
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_millis(2_100), "as soon as the lease has lapsed: {elapsed:?}");
    assert_eq!(gate.started(), 1);
}

/// Contract, section 7: same id with a different body: duplicate, plus a warning and a counter.
#[tokio::test]
async fn the_same_id_with_another_body_is_a_duplicate_and_is_told() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa(), gate.routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    let other = Request::signed(circa_body("evt_1").replace("hello", "goodbye"));
    assert_eq!(answer(&endpoint.deliver(&other).await), DUPLICATE);
    assert_eq!(endpoint.notes.count("duplicate same_body=false"), 1);
    assert_eq!(gate.started(), 1);
}

/// As above, while the first is in progress.
#[tokio::test(start_paused = true)]
async fn the_same_id_with_another_body_is_told_of_a_run_in_progress_too() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let other = endpoint.spawn(&Request::signed(circa_body("evt_1").replace("hello", "goodbye")));
    let same = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    gate.let_go(1);
    assert_eq!(answer(&first.await.unwrap()), HANDLED);
    assert_eq!(answer(&other.await.unwrap()), DUPLICATE);
    assert_eq!(answer(&same.await.unwrap()), DUPLICATE);
    assert_eq!(endpoint.notes.count("duplicate same_body=false"), 1);
    assert_eq!(endpoint.notes.count("duplicate same_body=true"), 1);
}

/// Contract, section 7: key = (endpoint name, event id), structured so that no two pairs collide; the endpoint name defaults to the sender's.
#[tokio::test]
async fn endpoints_on_one_store_do_not_share_events() {
    let store: Arc<dyn DedupStore> = Arc::new(MemoryStore::default());
    let gate = Gate::open();
    let cases = [
        ("the default name", None, "evt_1", HANDLED),
        ("the default name, said", Some("circa"), "evt_1", DUPLICATE),
        ("another name", Some("billing"), "evt_1", HANDLED),
        ("a, bc", Some("a"), "bc", HANDLED),
        ("ab, c", Some("ab"), "c", HANDLED),
        ("a:b, c", Some("a:b"), "c", HANDLED),
        ("a, b:c", Some("a"), "b:c", HANDLED),
        ("a, bc again", Some("a"), "bc", DUPLICATE),
    ];
    for (name, endpoint, id, expected) in cases {
        let builder = circa().shared_dedup(Arc::clone(&store));
        let builder = match endpoint {
            Some(endpoint) => builder.endpoint(endpoint),
            None => builder,
        };
        let endpoint = Endpoint::new(builder, gate.routes());
        assert_eq!(answer(&endpoint.deliver(&Request::circa(id)).await), expected, "{name}");
    }
}

/// The longest id that an event may have, and the names that an endpoint may have, are kept apart from their neighbours.
#[tokio::test]
async fn long_ids_are_compared_to_their_end() {
    let endpoint = Endpoint::new(circa().endpoint("Übersicht \u{1f41f}"), Gate::open().routes());
    let (one, other) = ("x".repeat(254) + "1", "x".repeat(254) + "2");
    for (id, expected) in [(&one, HANDLED), (&other, HANDLED), (&one, DUPLICATE), (&other, DUPLICATE)] {
        assert_eq!(answer(&endpoint.deliver(&Request::circa(id)).await), expected, "{id}");
    }
}

/// Contract, section 7: retention of done: 72 h by default.
#[tokio::test]
async fn a_handled_event_is_remembered_for_72_hours() {
    let clock = FakeClock::at(NOW);
    let endpoint = Endpoint::new(circa().clock(clock.clone()), Gate::open().routes());
    let deliver = async |at: i64| {
        let request = Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), at);
        answer(&endpoint.deliver(&request).await)
    };
    assert_eq!(deliver(NOW).await, HANDLED);
    clock.advance(RETENTION - seconds(1));
    assert_eq!(deliver(NOW + 72 * 3_600 - 1).await, DUPLICATE);
    clock.advance(seconds(1));
    assert_eq!(deliver(NOW + 72 * 3_600).await, HANDLED);
}

/// The retention that was chosen is the one that is asked of the store.
#[tokio::test]
async fn the_retention_can_be_chosen() {
    let clock = FakeClock::at(NOW);
    let endpoint = Endpoint::new(circa().clock(clock.clone()).retention(seconds(100)), Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    clock.advance(seconds(99));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
    clock.advance(seconds(1));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
}

/// Contract, section 7: `forget(id)` lets an operator replay on purpose.
#[tokio::test]
async fn a_forgotten_event_is_handled_again() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa(), gate.routes());
    assert!(!endpoint.receiver.forget("evt_1").await.unwrap(), "never seen");
    for round in 1..4 {
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "round {round}");
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE, "round {round}");
        assert!(endpoint.receiver.forget("evt_1").await.unwrap(), "round {round}");
    }
    assert_eq!(gate.started(), 3);
}

/// What is in progress cannot be forgotten: there would be two runs.
#[tokio::test(start_paused = true)]
async fn a_run_in_progress_is_not_forgotten() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    assert!(!endpoint.receiver.forget("evt_1").await.unwrap());
    gate.let_go(1);
    assert_eq!(answer(&first.await.unwrap()), HANDLED);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
}

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

fn with_store(builder: Builder, gate: &Gate) -> (Endpoint, ScriptedStore) {
    let store = ScriptedStore::memory();
    (Endpoint::new(builder.dedup(store.clone()), gate.routes()), store)
}

/// Contract, section 7: store does not answer within its timeout (default 2 s) or fails: 503 `store_unavailable`.
#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_claim_is_answered_503_in_two_seconds() {
    for fault in [Fault::Fail, Fault::Hang, Fault::DoneButFails, Fault::DoneButHangs] {
        let gate = Gate::open();
        let (endpoint, store) = with_store(circa(), &gate);
        store.script("claim", fault, 1);
        let start = Instant::now();
        let response = endpoint.deliver(&Request::circa("evt_1")).await;
        assert_eq!(answer(&response), UNAVAILABLE, "{fault:?}");
        assert_eq!(header(&response, "retry-after"), None, "{fault:?}");
        assert!(start.elapsed() <= seconds(2) + Duration::from_millis(2), "{fault:?}: {:?}", start.elapsed());
        assert_eq!(gate.started(), 0, "{fault:?}");
        assert_eq!(endpoint.notes.count("store error at claim"), 1, "{fault:?}");
        assert_eq!(endpoint.notes.reason().as_deref(), Some("store_unavailable"), "{fault:?}");
        // At the latest when the lease of a claim that nobody knows of has lapsed.
        tokio::time::advance(seconds(61)).await;
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
    }
}

/// Contract, section 7: or, where the user chose it explicitly, run without dedup.
#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_claim_is_done_without_where_that_was_chosen() {
    for fault in [Fault::Fail, Fault::Hang] {
        let gate = Gate::open();
        let (endpoint, store) = with_store(circa().on_store_failure(StoreFailure::RunWithoutDedup), &gate);
        store.script("claim", fault, 1);
        let start = Instant::now();
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
        assert!(start.elapsed() <= seconds(2) + Duration::from_millis(2), "{fault:?}: {:?}", start.elapsed());
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
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAVAILABLE);
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
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

/// Contract, section 7: the lease (default 60 s) is renewed while the handler runs; design: at a third.
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

/// The same event, signed for as long after `start` as it is now.
fn again(start: Instant) -> Request {
    let at = NOW + i64::try_from(start.elapsed().as_secs()).unwrap();
    Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), at)
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
        assert_eq!(store.calls("renew"), 3, "{fault:?}");
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

/// Contract, section 7: `complete` takes the claim's token and does nothing if the claim has since passed to another holder.
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
    let here = Endpoint::new(circa().shared_dedup(Arc::clone(&shared)), {
        let gate = gate.clone();
        routes(move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Err(HandlerError::retryable("too late"))
            }
        })
    });
    let there = Endpoint::new(circa().shared_dedup(shared), other_gate.routes());
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
    // Three renewals fail, at 20, 40 and 60 s; the one at 80 s comes too late.
    store.script("renew", Fault::Fail, 3);
    let _first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    tokio::time::sleep(seconds(65)).await;
    assert_eq!(answer(&there.deliver(&again(start)).await), HANDLED);
    tokio::time::sleep(seconds(65)).await;
    assert_eq!(here.notes.count("claim lost"), 1);
    assert_eq!(store.calls("renew"), 4, "what is lost is renewed no more");
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
        store.script("release", fault, 1);
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), FAILED, "{fault:?}");
        assert_eq!(endpoint.notes.count("store error at release"), 1, "{fault:?}");
        failing.store(false, Ordering::SeqCst);
        tokio::time::sleep(seconds(61)).await;
        assert_eq!(answer(&endpoint.deliver(&again(start)).await), HANDLED, "{fault:?}");
    }
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

    async fn forget(&self, _: &Key) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// The nonce names a delivery: the same while it asks again, another for each delivery. Defaults: lease 60 s, retention 72 h.
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
    tokio::time::sleep(seconds(1_000)).await;
    assert_eq!(answer(&there.deliver(&again(start)).await), UNAVAILABLE, "the store's time stood still");
    clock.advance(seconds(60));
    assert_eq!(answer(&there.deliver(&again(start)).await), HANDLED);
}

/// A waiting delivery whose run vanishes with its task takes over and runs itself.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_run_whose_task_is_gone_runs_itself() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let request = Request::circa("evt_1");
    let head = (request.method, &request.headers[..]);
    let body = Body::whole(request.body.clone());
    let circa_receiver::Reception::Admitted(admitted, handler) =
        endpoint.receiver.receive(&head, body, &endpoint.routes).await
    else {
        panic!("not admitted")
    };
    let handler = handler.clone();
    let (task, first) = admitted.run(move |delivery| handler.call(delivery.event().clone(), ()));
    let task = tokio::spawn(task);
    let abort = task.abort_handle();
    let first = async { answer(&first.wait_for(task).await) };
    gate.arrival().await;
    let second = endpoint.spawn(&request);
    settle().await;
    abort.abort();
    assert_eq!(first.await, FAILED, "a task that was stopped has not handled the event");
    gate.let_go(1);
    assert_eq!(answer(&second.await.unwrap()), HANDLED);
    assert_eq!(gate.started(), 2);
}

/// The clock of the tests goes with tokio's: what the tests above rely on.
#[tokio::test(start_paused = true)]
async fn the_clock_of_these_tests_moves_with_tokios() {
    use circa_receiver::Clock;
    let clock = circa_receiver::testing::TokioClock::starting_at(NOW);
    tokio::time::advance(seconds(61)).await;
    assert_eq!((clock.unix_seconds(), clock.monotonic()), (Ok(NOW + 61), seconds(61)));
}
