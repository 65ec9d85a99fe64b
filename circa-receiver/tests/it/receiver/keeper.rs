//! Leases of handlers that leave no time to anybody else are renewed all the same.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::support::receiving::{DUPLICATE, Endpoint, Gate, Request, ScriptedStore, answer, circa, routes, seconds};
use circa_receiver::{MemoryStore, ReceiverBuilder};

/// A hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(120);

/// One of two replicas with one store, in real time.
fn replica(store: &Arc<MemoryStore>, ack_deadline: Duration) -> ReceiverBuilder {
    circa().dedup(Arc::clone(store)).ack_deadline(ack_deadline)
}

/// Contract, section 7: "Renewal does not depend on the handler: it runs in a task of its own that
/// a handler which [...] uses up its budget cannot stop". Such a handler awaits what is always
/// ready; tokio lets others run in between.
#[tokio::test]
async fn a_handler_that_uses_up_its_budget_for_longer_than_the_lease_keeps_its_claim() {
    let (store, stop) = (Arc::new(MemoryStore::default()), Arc::new(AtomicBool::new(false)));
    let hungry = {
        let stop = Arc::clone(&stop);
        routes(move |_| {
            let (stop, begun) = (Arc::clone(&stop), Instant::now());
            async move {
                while !stop.load(Ordering::SeqCst) {
                    assert!(begun.elapsed() < PATIENCE, "the test lets it go");
                    tokio::task::coop::consume_budget().await;
                }
                Ok(())
            }
        })
    };
    let lease = seconds(3);
    let here = replica(&store, seconds(1)).store_timeout(Duration::from_millis(500)).lease(lease);
    let here = Endpoint::new(here, hungry);
    let other = Gate::open();
    let there = Endpoint::new(replica(&store, 3 * lease), other.routes());
    let request = Request::circa("evt_1");
    assert_eq!(here.deliver(&request).await.status(), 503, "it runs on beyond its ack deadline");
    // The copy waits for three leases: were one not renewed, it would be handled here.
    assert_eq!((there.deliver(&request).await.status(), other.started()), (503, 0));
    stop.store(true, Ordering::SeqCst);
    here.receiver.shutdown().await;
    assert_eq!((answer(&there.deliver(&request).await), other.started()), (DUPLICATE, 0));
}

/// A receiver may be built on a runtime that has ended by the time of its first delivery.
#[test]
fn leases_are_renewed_where_the_runtime_of_the_building_is_gone() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let (store, gate) = (ScriptedStore::memory(), Gate::closed());
    let endpoint = runtime().block_on(async { Endpoint::new(circa().dedup(store.clone()), gate.routes()) });
    runtime().block_on(async {
        assert_eq!(
            endpoint.deliver(&Request::circa("evt_1")).await.status(),
            503,
            "it runs on beyond its ack deadline"
        );
        tokio::time::sleep(seconds(60)).await;
        assert!(store.calls("renew") >= 2, "{} renewals", store.calls("renew"));
    });
}
