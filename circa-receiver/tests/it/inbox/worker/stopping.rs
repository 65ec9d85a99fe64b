//! Stopping: runs may end until the drain deadline, and what is left is given back.

use circa_receiver::inbox::{Inbox, Interest, LeaseRequest};
use tokio::time::Instant;

use super::{Bench, seconds, settle};
use crate::support::receiving::{ACCEPTED, Endpoint, Fault, Gate, ScriptedInbox, circa};

/// Contract, section 8a: `shutdown` stops both sides; a run that ends in time is done.
#[tokio::test(start_paused = true)]
async fn a_run_that_ends_before_the_drain_deadline_is_done() {
    let gate = Gate::closed();
    let bench = Bench::with_routes(gate.routes());
    let worker = bench.start();
    for id in ["evt_1", "evt_2"] {
        assert_eq!(bench.deliver(id).await, ACCEPTED);
    }
    gate.arrival().await;
    gate.arrival().await;
    let receiver = bench.endpoint.receiver.clone();
    let shutdown = tokio::spawn(async move { receiver.shutdown().await });
    tokio::time::sleep(seconds(10)).await;
    assert!(!shutdown.is_finished() && !worker.is_finished(), "they did not wait");
    gate.let_go(2);
    shutdown.await.unwrap();
    worker.await.unwrap();
    let stats = bench.stats().await;
    assert_eq!((stats.ready, stats.running), (0, 0));
    assert_eq!(bench.endpoint.notes.count("handled"), 2);
}

/// Contract, section 8a: what still runs at the drain deadline is cancelled and given back, and no
/// attempt is burned.
#[tokio::test(start_paused = true)]
async fn what_still_runs_at_the_drain_deadline_is_given_back() {
    let gate = Gate::closed();
    let bench = Bench::with_routes(gate.routes());
    let worker = bench.start();
    bench.deliver("evt_1").await;
    gate.arrival().await;
    let started = Instant::now();
    bench.endpoint.receiver.shutdown().await;
    worker.await.unwrap();
    assert!((seconds(20)..=seconds(23)).contains(&started.elapsed()), "{:?}", started.elapsed());
    let interests = [Interest::all("circa")];
    let leased = bench.inbox.lease(LeaseRequest::new("next", &interests, 10, seconds(60))).await.unwrap();
    assert_eq!((leased.len(), leased[0].attempt()), (1, 1));
    gate.let_go(1);
    settle().await;
    assert_eq!(gate.ended(), 0, "the handler was not cancelled");
}

/// The worker of a receiver has that one's drain deadline, whichever of both is shut down.
#[tokio::test(start_paused = true)]
async fn the_drain_deadline_is_the_receivers() {
    let (gate, inbox) = (Gate::closed(), ScriptedInbox::new());
    let endpoint = Endpoint::new(circa().inbox(inbox.clone()).drain_deadline(seconds(1)), gate.routes());
    let bench = Bench { endpoint, inbox };
    let worker = bench.worker();
    let running = tokio::spawn(worker.clone().run());
    bench.deliver("evt_1").await;
    gate.arrival().await;
    let started = Instant::now();
    worker.shutdown().await;
    running.await.unwrap();
    assert!((seconds(1)..=seconds(4)).contains(&started.elapsed()), "{:?}", started.elapsed());
}

/// Nothing is leased once a worker was stopped, and one that is idle ends at once.
#[tokio::test(start_paused = true)]
async fn an_idle_worker_ends_at_once() {
    let bench = Bench::new(|_| async { Ok(()) });
    let worker = bench.worker();
    let running = tokio::spawn(worker.clone().run());
    settle().await;
    let started = Instant::now();
    worker.shutdown().await;
    running.await.unwrap();
    assert!(started.elapsed() < seconds(1), "{:?}", started.elapsed());
    assert_eq!(worker.drain().await.unwrap(), 0);
}

/// Events that were leased while the worker was stopped are given back at once: not one after the
/// other, each with the patience of a call.
#[tokio::test(start_paused = true)]
async fn what_was_just_leased_is_given_back_together() {
    let bench = Bench::new(|_| async { Ok(()) });
    for number in 0..16 {
        assert_eq!(bench.deliver(&format!("evt_{number}")).await, ACCEPTED);
    }
    bench.inbox.script("lease", Fault::Yield, 1);
    bench.inbox.script("settle", Fault::Hang, usize::MAX);
    let worker = bench.worker();
    let running = tokio::spawn(worker.clone().run());
    tokio::task::yield_now().await;
    let started = Instant::now();
    worker.shutdown().await;
    running.await.unwrap();
    assert!(started.elapsed() <= seconds(3), "{:?}", started.elapsed());
    assert_eq!((bench.inbox.calls("settle"), bench.endpoint.notes.count("given back")), (16, 0));
}
