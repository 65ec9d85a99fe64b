//! Leases: renewed while the handler runs; a lost one ends its run.

use std::{future::poll_fn, task::Poll};

use circa_receiver::inbox::{Inbox, Interest, LeaseRequest};

use super::{Bench, seconds, settle};
use crate::support::receiving::{ACCEPTED, Fault, Gate, routes};

/// Contract, section 8a: a lease (60 s), renewed at a third.
#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_at_a_third_while_the_handler_runs() {
    let gate = Gate::closed();
    let bench = Bench::with_routes(gate.routes());
    let _worker = bench.start();
    bench.deliver("evt_1").await;
    gate.arrival().await;
    tokio::time::sleep(seconds(301)).await;
    assert_eq!((bench.inbox.calls("renew"), gate.started()), (15, 1));
    gate.let_go(1);
    settle().await;
    tokio::time::sleep(seconds(100)).await;
    assert_eq!(bench.inbox.calls("renew"), 15, "no renewal of what is done");
}

/// Contract, section 8a: a lost lease cancels its handler's task and is counted; the other run goes
/// on.
#[tokio::test(start_paused = true)]
async fn a_lost_lease_stops_its_run_and_leaves_the_other_alone() {
    let (gate, other_gate) = (Gate::closed(), Gate::closed());
    let bench = Bench::with_routes(gate.routes());
    let other = bench.in_another_process(other_gate.routes());
    let _worker = bench.start();
    bench.deliver("evt_1").await;
    gate.arrival().await;
    // As a process that stood still: no lease, and until 70 s no renewal gets through.
    bench.inbox.script("renew", Fault::Fail, 50);
    bench.inbox.script("lease", Fault::Fail, usize::MAX);
    tokio::time::sleep(seconds(61)).await;
    let _other_worker = other.start();
    other_gate.arrival().await;
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(bench.endpoint.notes.count("claim lost"), 1);
    gate.let_go(1);
    settle().await;
    assert_eq!(gate.ended(), 0, "the run whose lease was lost went on");
    other_gate.let_go(1);
    settle().await;
    assert_eq!((other_gate.ended(), other.endpoint.notes.count("handled")), (1, 1));
    assert_eq!(other.endpoint.notes.count("claim lost"), 0);
}

/// A run whose lease was lost unnoticed does not end what another worker runs.
#[tokio::test(start_paused = true)]
async fn a_stale_run_settles_nothing() {
    let (gate, other_gate) = (Gate::closed(), Gate::closed());
    let bench = Bench::with_routes(gate.routes());
    let other = bench.in_another_process(other_gate.routes());
    let _worker = bench.start();
    bench.deliver("evt_1").await;
    gate.arrival().await;
    bench.inbox.script("renew", Fault::Fail, usize::MAX);
    bench.inbox.script("lease", Fault::Fail, usize::MAX);
    tokio::time::sleep(seconds(61)).await;
    let _other_worker = other.start();
    other_gate.arrival().await;
    gate.let_go(1);
    settle().await;
    assert_eq!(bench.endpoint.notes.count("claim lost"), 1);
    assert_eq!(bench.stats().await.running, 1, "the stale run ended the other one's lease");
    other_gate.let_go(1);
    settle().await;
    assert_eq!(other.endpoint.notes.count("handled"), 1);
}

/// A handler that ends at the moment at which its lease turns out to be lost.
#[tokio::test(start_paused = true)]
async fn a_lost_lease_is_told_once() {
    let bench = Bench::new(|_| async { Ok(()) });
    let notes = bench.endpoint.notes.clone();
    let routes = routes(move |_| {
        let notes = notes.clone();
        // Polled when its run is told of the loss, and then ready before that is looked at.
        poll_fn(move |_| if notes.count("claim lost") == 0 { Poll::Pending } else { Poll::Ready(Ok(())) })
    });
    let worker = bench.endpoint.receiver.worker(routes, ()).unwrap().build().unwrap();
    let _running = tokio::spawn(worker.run());
    assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
    settle().await;
    bench.inbox.script("renew", Fault::Fail, 50);
    bench.inbox.script("lease", Fault::Fail, usize::MAX);
    tokio::time::sleep(seconds(61)).await;
    let interests = [Interest::all("circa")];
    let request = LeaseRequest::new("another", &interests, 1, seconds(60));
    assert_eq!(bench.inbox.memory().lease(request).await.unwrap().len(), 1);
    tokio::time::sleep(seconds(30)).await;
    assert_eq!(bench.endpoint.notes.count("handled"), 1, "{:?}", bench.endpoint.notes.all());
    assert_eq!(bench.endpoint.notes.count("claim lost"), 1, "{:?}", bench.endpoint.notes.all());
}
