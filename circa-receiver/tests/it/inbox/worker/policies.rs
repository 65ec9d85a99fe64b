//! Policies: the events of one type are run otherwise than the others.

use std::time::Duration;

use circa_receiver::{
    AnyEvent, HandlerError, Routes,
    inbox::{Cause, RunPolicy},
};
use tokio::time::Instant;

use super::{Bench, seconds, settle};
use crate::support::receiving::{Gate, Request, circa_body};

async fn deliver(bench: &Bench, id: &str, event_type: &str) {
    let request = Request::signed(circa_body(id).replace("webhook.test", event_type));
    assert_eq!(bench.endpoint.deliver(&request).await.status(), 202, "{id}");
}

/// Two of a type run at once, and events that came later go past the third. The worker is not woken
/// by the inbox, as where other processes accept.
#[tokio::test(start_paused = true)]
async fn a_type_at_its_limit_does_not_keep_others_waiting() {
    let (slow, fast) = (Gate::closed(), Gate::closed());
    let (slow_handler, fast_handler) = (slow.clone(), fast.clone());
    let routes = || {
        let (slow, fast) = (slow_handler.clone(), fast_handler.clone());
        let pass = |gate: Gate| {
            move |_: AnyEvent, (): ()| {
                let gate = gate.clone();
                async move {
                    gate.pass().await;
                    Ok::<(), HandlerError>(())
                }
            }
        };
        Routes::new().on_type("slow.type", pass(slow)).fallback(pass(fast))
    };
    let bench = Bench::with_routes(routes());
    let other = bench.in_another_process(routes());
    let worker = other.endpoint.receiver.worker(routes(), ()).unwrap().concurrency(4);
    let worker = worker.policy_of("slow.type", RunPolicy::new().concurrency(2)).build().unwrap();
    let _running = tokio::spawn(worker.run());
    for number in 0..20 {
        deliver(&bench, &format!("evt_slow_{number}"), "slow.type").await;
    }
    for number in 0..2 {
        deliver(&bench, &format!("evt_fast_{number}"), "webhook.test").await;
    }
    tokio::time::sleep(seconds(1)).await;
    assert_eq!((slow.started(), fast.started()), (2, 2));
    // One that ends makes room for one at once, and not with the next look.
    let before = Instant::now();
    slow.let_go(1);
    settle().await;
    assert_eq!((slow.started(), slow.ended(), before.elapsed()), (3, 1, Duration::ZERO));
    slow.let_go(100);
    fast.let_go(100);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!((slow.ended(), fast.ended()), (20, 2));
    assert_eq!(other.endpoint.notes.count("given back"), 0);
}

/// Attempts, backoff and time limit of one type; the other's are the worker's.
#[tokio::test(start_paused = true)]
async fn a_type_has_attempts_a_backoff_and_a_time_limit_of_its_own() {
    let bench = Bench::new(|event: AnyEvent| async move {
        if event.id().ends_with("hangs") {
            std::future::pending::<()>().await;
        }
        Err(HandlerError::retryable("away"))
    });
    let policy = RunPolicy::new().max_attempts(2).backoff(seconds(1), seconds(1)).handler_timeout(seconds(5));
    let builder = bench.builder().max_attempts(3).backoff(seconds(1), seconds(1)).policy_of("own.type", policy);
    let _running = tokio::spawn(builder.build().unwrap().run());
    for (id, event_type) in
        [("evt_own", "own.type"), ("evt_own_hangs", "own.type"), ("evt", "webhook.test"), ("evt_hangs", "webhook.test")]
    {
        deliver(&bench, id, event_type).await;
    }
    tokio::time::sleep(seconds(60)).await;
    let mut dead = bench.inbox.memory().dead();
    dead.sort();
    assert_eq!(dead, ["evt", "evt_own", "evt_own_hangs"].map(|id| (id.to_owned(), Cause::Attempts)));
    // One attempt of the first that is not the last, one of the second, two of the third.
    assert_eq!(bench.endpoint.notes.count("failed: away"), 3);
    assert_eq!(bench.endpoint.notes.count("failed: the handler ran longer than its limit of 5s"), 1);
    assert_eq!(bench.stats().await.running, 1, "the fourth has ten minutes");
}
