//! The engine away: the worker rides it out.

use super::{Bench, Runs, running, seconds, settle};
use crate::support::receiving::{ACCEPTED, Fault, Gate};

/// Contract, section 8a: it waits and asks again for ever, says so once, and is not healthy
/// meanwhile.
#[tokio::test(start_paused = true)]
async fn a_worker_rides_out_an_engine_that_is_away() {
    for fault in [Fault::Fail, Fault::Hang] {
        let runs = Runs::default();
        let bench = running(&runs, |_| Ok(()));
        let worker = bench.worker();
        let _running = tokio::spawn(worker.clone().run());
        settle().await;
        assert!(worker.is_healthy(), "{fault:?}");
        assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
        settle().await;
        let before = bench.inbox.calls("lease");
        bench.inbox.script("lease", fault, 20);
        tokio::time::sleep(seconds(60)).await;
        assert!(!worker.is_healthy(), "{fault:?}");
        assert_eq!(bench.endpoint.notes.count("inbox unavailable"), 1, "{fault:?}");
        let asked = bench.inbox.calls("lease") - before;
        assert!((8..=25).contains(&asked), "{fault:?}: asked {asked} times in a minute");
        // Below the tolerance of the signature.
        tokio::time::sleep(seconds(130)).await;
        assert!(worker.is_healthy(), "{fault:?}");
        assert_eq!(bench.endpoint.notes.count("inbox available"), 1, "{fault:?}");
        bench.deliver("evt_2").await;
        settle().await;
        assert_eq!(runs.count(), 2, "{fault:?}");
    }
}

/// Contract, section 8a: a running handler goes on, and its end is stored when the engine is back.
#[tokio::test(start_paused = true)]
async fn a_run_is_settled_when_the_engine_is_back() {
    for (name, fault) in [("fails", Fault::Fail), ("hangs", Fault::Hang), ("done but fails", Fault::DoneButFails)] {
        let gate = Gate::closed();
        let bench = Bench::with_routes(gate.routes());
        let _worker = bench.start();
        bench.deliver("evt_1").await;
        gate.arrival().await;
        for operation in ["settle", "renew", "lease"] {
            bench.inbox.script(operation, fault, 12);
        }
        gate.let_go(1);
        tokio::time::sleep(seconds(200)).await;
        assert_eq!((gate.started(), bench.endpoint.notes.count("handled")), (1, 1), "{name}");
        assert_eq!(bench.endpoint.notes.count("store error at settle"), 1, "{name}");
        assert_eq!(bench.endpoint.notes.count("claim lost"), 0, "{name}");
    }
}

/// A worker all of whose runs wait to be settled asks for no events: it is not healthy all the
/// same, and says so once.
#[tokio::test(start_paused = true)]
async fn a_busy_worker_notices_that_the_engine_is_away() {
    let gate = Gate::closed();
    let bench = Bench::with_routes(gate.routes());
    let worker = bench.builder().concurrency(1).build().unwrap();
    let _running = tokio::spawn(worker.clone().run());
    assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
    gate.arrival().await;
    let leases = bench.inbox.calls("lease");
    bench.inbox.script("settle", Fault::Fail, 12);
    gate.let_go(1);
    tokio::time::sleep(seconds(5)).await;
    assert!(!worker.is_healthy());
    assert_eq!(bench.inbox.calls("lease"), leases);
    tokio::time::sleep(seconds(60)).await;
    assert!(worker.is_healthy());
    let told = ["inbox unavailable", "inbox available"].map(|note| bench.endpoint.notes.count(note));
    assert_eq!(told, [1, 1]);
}
