//! How a claim is settled: the tries of "done", a release that is dropped, and whom a run answers.

use circa_receiver::{HandlerError, StoreFailure, adapter::Reception};

use super::with_store;
use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, FAILED, Fault, Gate, HANDLED, Request, ScriptedStore, answer, circa, routes, seconds,
    settle,
};

/// Contract, section 7: a mark "done" is tried four times while the sender waits, and then once a
/// second in the background.
#[tokio::test(start_paused = true)]
async fn the_mark_is_tried_four_times_and_then_in_the_background() {
    let (endpoint, store) = with_store(circa(), &Gate::open());
    store.script("complete", Fault::Fail, 5);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    assert_eq!(store.calls("complete"), 4);
    for calls in [5, 6, 6] {
        tokio::time::advance(seconds(1)).await;
        settle().await;
        assert_eq!(store.calls("complete"), calls, "the sixth one succeeds");
    }
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
}

/// A task that ends while it releases its claim leaves the release to the background.
#[tokio::test(start_paused = true)]
async fn a_release_that_is_dropped_is_tried_again() {
    let store = ScriptedStore::memory();
    store.script("release", Fault::Hang, 1);
    let gate = Gate::open();
    let handler = gate.clone();
    let endpoint = Endpoint::new(
        circa().dedup(store.clone()),
        routes(move |_| {
            let gate = handler.clone();
            async move {
                gate.pass().await;
                Err(HandlerError::retryable("not yet"))
            }
        }),
    );
    let request = Request::circa("evt_1");
    let head = (request.method, &request.headers[..]);
    let received = endpoint.receiver.receive(&head, Body::whole(request.body.clone()), &endpoint.routes).await;
    let Reception::Admitted(admitted, handler) = received else { panic!("not admitted") };
    let handler = handler.clone();
    let (task, _answer) = admitted.run(move |delivery| handler.call(delivery, ()));
    let task = tokio::spawn(task);
    settle().await;
    assert_eq!(store.calls("release"), 1, "it hangs in its release");
    task.abort();
    settle().await;
    assert_eq!(store.calls("release"), 2);
    // No time has passed: the lease holds, and the event is free all the same.
    assert_eq!(answer(&endpoint.deliver(&request).await), FAILED);
    assert_eq!(gate.started(), 2);
}

/// Contract, section 7: never 2xx for an event whose mark is not made yet, if it can still be made:
/// whoever was answered before would be told of a run that a crash undoes.
#[tokio::test(start_paused = true)]
async fn who_waits_is_answered_after_the_mark_is_made() {
    let gate = Gate::closed();
    let (endpoint, store) = with_store(circa(), &gate);
    store.script("complete", Fault::Hang, 1);
    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let second = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    gate.let_go(1);
    settle().await;
    assert_eq!((gate.ended(), store.calls("complete")), (1, 1), "the handler has ended, and the store is asked");
    assert!(!second.is_finished(), "answered before the mark was made");
    assert!(!first.is_finished());
    assert_eq!(answer(&first.await.unwrap()), HANDLED);
    assert_eq!(answer(&second.await.unwrap()), DUPLICATE);
    assert_eq!(store.calls("complete"), 2);
}

/// Deliveries that all found the store away, and none of which ran yet when it asked: one runs, and
/// the others wait for it.
#[tokio::test(start_paused = true)]
async fn of_deliveries_that_run_without_dedup_one_runs_at_a_time() {
    let gate = Gate::closed();
    let (endpoint, store) = with_store(circa().on_store_failure(StoreFailure::RunWithoutDedup), &gate);
    store.script("claim", Fault::Fail, usize::MAX);
    let deliveries: Vec<_> = (0..3).map(|_| endpoint.spawn(&Request::circa("evt_1"))).collect();
    gate.arrival().await;
    settle().await;
    assert_eq!(gate.started(), 1);
    gate.let_go(3);
    let mut answers = Vec::new();
    for delivery in deliveries {
        answers.push(answer(&delivery.await.unwrap()));
    }
    answers.sort_unstable();
    assert_eq!(answers, [DUPLICATE, DUPLICATE, HANDLED]);
    assert_eq!(gate.started(), 1);
}
