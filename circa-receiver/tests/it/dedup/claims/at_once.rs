//! Deliveries of one event that come at once: one run, and the others wait for it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::time::Instant;

use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, FAILED, Fault, Gate, HANDLED, Request, ScriptedStore, UNAVAILABLE, answer, circa,
    circa_body, header, routes, seconds, settle,
};

/// One hundred identical deliveries at once: one runs, and all are told that the event is handled.
async fn a_hundred_at_once(yielding_store: bool) {
    let store = ScriptedStore::memory();
    if yielding_store {
        for operation in ["claim", "complete"] {
            store.script(operation, Fault::Yield, usize::MAX);
        }
    }
    let runs = Arc::new(AtomicUsize::new(0));
    // Waiting copies keep at most a quarter of the places.
    let endpoint = Endpoint::new(circa().dedup(store).max_in_flight(1_000), {
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

/// A waiting delivery whose run vanishes with its task takes over and runs itself.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_run_whose_task_is_gone_runs_itself() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let request = Request::circa("evt_1");
    let head = (request.method, &request.headers[..]);
    let body = Body::whole(request.body.clone());
    let circa_receiver::adapter::Reception::Admitted(admitted, handler) =
        endpoint.receiver.receive(&head, body, &endpoint.routes).await
    else {
        panic!("not admitted")
    };
    let handler = handler.clone();
    let (task, first) = admitted.run(move |delivery| handler.call(delivery, ()));
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
