//! The ack deadline: the answer does not wait for longer, and the handler runs on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use circa_receiver::AnyEvent;
use tokio::time::Instant;

use super::again;
use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, Fault, Gate, HANDLED, Request, ScriptedStore, Step, UNAVAILABLE, answer, circa,
    circa_body, header, routes, seconds, settle,
};

/// Contract, section 8: ack deadline (default 10 s) passed: 503 with `Retry-After: 30`; the task
/// runs on with its lease renewed; when it succeeds the claim is completed, and the sender's next
/// attempt is answered `duplicate`.
#[tokio::test(start_paused = true)]
async fn a_handler_that_outlasts_the_ack_deadline_runs_on_and_is_done() {
    let (gate, store) = (Gate::closed(), ScriptedStore::memory());
    let endpoint = Endpoint::new(circa().dedup(store.clone()), gate.routes());
    let start = Instant::now();
    let response = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!(answer(&response), UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), Some("30"));
    assert_eq!(header(&response, "circa-receiver-outcome"), None);
    assert!(start.elapsed() >= seconds(10) && start.elapsed() < seconds(11), "{:?}", start.elapsed());
    assert_eq!(endpoint.notes.count("unfinished"), 1);
    assert_eq!((gate.started(), gate.ended()), (1, 0), "it runs on");
    // Far beyond the first lease.
    tokio::time::sleep(seconds(200)).await;
    assert_eq!(store.calls("renew"), 10);
    gate.let_go(1);
    settle().await;
    assert_eq!(gate.ended(), 1);
    assert_eq!(endpoint.notes.count("handled"), 1);
    assert_eq!(answer(&endpoint.deliver(&again("evt_1", start)).await), DUPLICATE);
    assert_eq!(gate.started(), 1);
}

/// As above, when it fails after all: released, so that the sender's next attempt runs it again.
#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_after_the_ack_deadline_is_run_again() {
    let gate = Gate::closed();
    let failures = Arc::new(AtomicUsize::new(1));
    let endpoint = Endpoint::new(circa(), {
        let gate = gate.clone();
        routes(move |_| {
            let (gate, failures) = (gate.clone(), Arc::clone(&failures));
            async move {
                gate.pass().await;
                if failures.swap(0, Ordering::SeqCst) == 1 { Err("too late".into()) } else { Ok(()) }
            }
        })
    });
    let start = Instant::now();
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAVAILABLE);
    gate.let_go(2);
    settle().await;
    assert_eq!(endpoint.notes.count("failed: too late"), 1);
    assert_eq!(answer(&endpoint.deliver(&again("evt_1", start)).await), HANDLED);
    assert_eq!(gate.started(), 2);
}

/// Contract, section 8: counted from the arrival of the request's head, body reading included.
#[tokio::test(start_paused = true)]
async fn the_ack_deadline_counts_from_the_arrival_of_the_head() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let body = Body::new([Step::Pause(seconds(8)), Step::Chunk(circa_body("evt_1").into())]);
    let start = Instant::now();
    let response = endpoint.deliver_with(&Request::circa("evt_1"), body).await;
    assert_eq!(answer(&response), UNAVAILABLE);
    assert_eq!(gate.started(), 1, "the handler had 2 s left");
    assert!(start.elapsed() >= seconds(10) && start.elapsed() < seconds(11), "{:?}", start.elapsed());
}

/// As above: a slow store uses the same deadline up.
#[tokio::test(start_paused = true)]
async fn the_ack_deadline_includes_the_claim() {
    let store = ScriptedStore::memory();
    store.script("claim", Fault::Hang, 1);
    let builder = circa().ack_deadline(seconds(1)).store_timeout(seconds(5)).dedup(store);
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    let start = Instant::now();
    let response = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!((answer(&response), header(&response, "retry-after")), (UNAVAILABLE, Some("30")));
    assert!(start.elapsed() < Duration::from_millis(1_010), "{:?}", start.elapsed());
}

/// A handler that ends just before the deadline is answered as it ended.
#[tokio::test(start_paused = true)]
async fn a_handler_that_ends_in_time_is_answered_as_it_ended() {
    for (millis, expected) in [(9_990, HANDLED), (10_010, UNAVAILABLE)] {
        let endpoint = Endpoint::new(
            circa(),
            routes(move |_| async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            }),
        );
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), expected, "{millis} ms");
    }
}

/// Contract, section 8: a handler runs in its own task: neither a sender that hangs up nor a
/// dropped request future stops it half-way.
#[tokio::test(start_paused = true)]
async fn a_dropped_request_does_not_stop_the_handler() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let request = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!((gate.started(), gate.ended()), (1, 0));
    let waiting = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    gate.let_go(1);
    assert_eq!(answer(&waiting.await.unwrap()), DUPLICATE);
    assert_eq!((gate.started(), gate.ended()), (1, 1));
    assert_eq!(endpoint.notes.count("handled"), 1);
}

/// Many handlers run at once; one that stands still holds no other up.
#[tokio::test(start_paused = true)]
async fn a_handler_that_stands_still_holds_no_other_up() {
    let gate = Gate::closed();
    let stuck = gate.clone();
    let handler = move |event: AnyEvent| {
        let stuck = stuck.clone();
        async move {
            if event.id() == "evt_stuck" {
                stuck.pass().await;
            }
            Ok(())
        }
    };
    let endpoint = Endpoint::new(circa(), routes(handler));
    let waiting = endpoint.spawn(&Request::circa("evt_stuck"));
    gate.arrival().await;
    for index in 0..50 {
        assert_eq!(answer(&endpoint.deliver(&Request::circa(&format!("evt_{index}"))).await), HANDLED);
    }
    assert!(!waiting.is_finished());
}
