//! A dedup store whose answers are late, lost or odd: the event is neither stuck nor asked for
//! without pause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, FAILED, Fault, Gate, HANDLED, Request, ScriptedStore, answer, circa, routes, seconds,
    settle,
};
use async_trait::async_trait;
use circa_receiver::{
    DedupStore, StoreFailure,
    adapter::Reception,
    dedup::{ClaimAnswer, ClaimRequest, Key, Nonce, StoreError, Token},
};

/// A store whose clock is coarse says that a lease lapses in 0 s while it still holds.
struct Coarse(Arc<AtomicUsize>);

#[async_trait]
impl DedupStore for Coarse {
    async fn claim(&self, _: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        if self.0.fetch_add(1, Ordering::SeqCst) > 5_000 {
            return Ok(ClaimAnswer::Done { same_body: true });
        }
        Ok(ClaimAnswer::InProgress { retry_after: Duration::ZERO })
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
    async fn withdraw(&self, _: &Key, _: Nonce) -> Result<bool, StoreError> {
        Ok(false)
    }

    async fn forget(&self, _: &Key) -> Result<bool, StoreError> {
        Ok(false)
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_is_not_asked_without_pause_though_it_says_to_come_back_at_once() {
    let calls = Arc::new(AtomicUsize::new(0));
    let endpoint = Endpoint::new(circa().dedup(Coarse(Arc::clone(&calls))), Gate::open().routes());
    let _ = endpoint.deliver(&Request::circa("evt_1")).await;
    assert!(calls.load(Ordering::SeqCst) < 100, "{} calls in 10 s", calls.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_complete_whose_answer_was_lost_is_no_lost_claim() {
    for fault in [Fault::DoneButFails, Fault::DoneButHangs] {
        let store = ScriptedStore::memory();
        store.script("complete", fault, 1);
        let endpoint = Endpoint::new(circa().dedup(store), Gate::open().routes());
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
        assert_eq!(endpoint.notes.count("claim lost"), 0, "{fault:?}: {:?}", endpoint.notes.all());
    }
}

/// Contract, section 7: "a store's blip is not the sender's business". The claim of a handler that
/// failed does not block the sender's next attempt for a whole lease.
#[tokio::test(start_paused = true)]
async fn a_release_that_fails_is_tried_again() {
    for fault in [Fault::Fail, Fault::Hang] {
        let store = ScriptedStore::memory();
        store.script("release", fault, 2);
        let runs = Arc::new(AtomicUsize::new(0));
        let fails_first = routes(move |_| {
            let is_first = runs.fetch_add(1, Ordering::SeqCst) == 0;
            async move { if is_first { Err("not this time".into()) } else { Ok(()) } }
        });
        let endpoint = Endpoint::new(circa().dedup(store), fails_first);
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), FAILED);
        tokio::time::sleep(seconds(30)).await;
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_claim_is_told_once() {
    let store = ScriptedStore::memory();
    let (gate, other) = (Gate::closed(), Gate::open());
    store.script("renew", Fault::Fail, 46);
    let shared: Arc<dyn DedupStore> = Arc::new(store);
    let here = Endpoint::new(circa().dedup(Arc::clone(&shared)), gate.routes());
    let there = Endpoint::new(circa().dedup(shared), other.routes());
    let _first = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    tokio::time::sleep(seconds(65)).await;
    assert_eq!(answer(&there.deliver(&Request::circa("evt_1")).await), HANDLED);
    tokio::time::sleep(seconds(65)).await;
    gate.let_go(1);
    settle().await;
    assert_eq!(here.notes.count("claim lost"), 1, "{:?}", here.notes.all());
}

#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_timed_out_is_not_stuck_for_a_whole_lease() {
    for fault in [Fault::DoneButFails, Fault::DoneButHangs] {
        let store = ScriptedStore::memory();
        store.script("claim", fault, usize::MAX);
        let endpoint = Endpoint::new(circa().dedup(store.clone()), Gate::open().routes());
        assert_eq!(endpoint.deliver(&Request::circa("evt_1")).await.status(), 503);
        store.script("claim", fault, 0);
        tokio::time::sleep(seconds(30)).await;
        assert_eq!(
            answer(&endpoint.deliver(&Request::circa("evt_1")).await),
            HANDLED,
            "{fault:?}, the sender's first retry"
        );
    }
}

/// Contract, section 7: "What an abandoned claim may have left is withdrawn by its nonce". A
/// delivery that gave its claim up and then waited for another run claims under a fresh nonce: the
/// withdrawal must not free what is claimed now.
#[tokio::test(start_paused = true)]
async fn a_claim_after_one_that_was_given_up_has_a_fresh_nonce() {
    let store = ScriptedStore::memory();
    // Both deliveries ask twice, and give up 2 s before their ack deadline.
    store.script("claim", Fault::DoneButHangs, 4);
    let gate = Gate::closed();
    let builder = circa().dedup(store.clone()).on_store_failure(StoreFailure::RunWithoutDedup);
    let endpoint = Endpoint::new(builder.ack_deadline(seconds(4)).store_timeout(seconds(1)), gate.routes());
    let request = Request::circa("evt_1");
    let (head, body) = ((request.method, &request.headers[..]), Body::whole(request.body.clone()));
    let Reception::Admitted(admitted, handler) = endpoint.receiver.receive(&head, body, &endpoint.routes).await else {
        panic!("it is admitted");
    };
    let handler = handler.clone();
    let (task, _answer) = admitted.run(move |delivery| handler.call(delivery, ()));
    let run = tokio::spawn(task);
    let waits = endpoint.spawn(&request);
    gate.arrival().await;
    settle().await;
    // The first run ends without an outcome, and the delivery that waited for it claims again.
    run.abort();
    gate.let_go(1);
    assert_eq!(answer(&waits.await.unwrap()), HANDLED);
    let nonces = store.nonces();
    let (given_up, later) = nonces.split_at(4);
    assert!(!later.is_empty() && later.iter().all(|nonce| !given_up.contains(nonce)), "{nonces:?}");
}

/// Contract, section 7: if the handler succeeded and only the mark failed, the sender gets its 200:
/// in time, however slowly the store fails.
#[tokio::test(start_paused = true)]
async fn a_mark_that_hangs_does_not_delay_the_answer_beyond_the_ack_deadline() {
    let store = ScriptedStore::memory();
    store.script("complete", Fault::Hang, 4);
    let builder = circa().dedup(store.clone()).ack_deadline(seconds(5));
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
    assert_eq!((store.calls("release"), store.calls("claim")), (0, 2), "the mark was made in the background");
}

/// Contract, section 7: what an abandoned claim may have left is withdrawn, also where the store is
/// still away when the claim is given up.
#[tokio::test(start_paused = true)]
async fn a_withdrawal_that_fails_is_tried_again() {
    let store = ScriptedStore::memory();
    store.script("claim", Fault::DoneButFails, usize::MAX);
    store.script("withdraw", Fault::Fail, 2);
    let endpoint = Endpoint::new(circa().dedup(store.clone()), Gate::open().routes());
    assert_eq!(endpoint.deliver(&Request::circa("evt_1")).await.status(), 503);
    store.script("claim", Fault::Fail, 0);
    tokio::time::sleep(seconds(2)).await;
    let started = tokio::time::Instant::now();
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    assert!(started.elapsed() < seconds(1), "{:?}", started.elapsed());
}

/// A store that answers marks an event also where its handler ends just before the deadline.
#[tokio::test(start_paused = true)]
async fn a_mark_just_before_the_ack_deadline_is_made() {
    let store = ScriptedStore::memory();
    store.script("complete", Fault::Yield, 1);
    let ends_late = routes(async |_| {
        tokio::time::sleep(Duration::from_millis(4_700)).await;
        Ok(())
    });
    let endpoint = Endpoint::new(circa().dedup(store.clone()).ack_deadline(seconds(5)), ends_late);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    assert_eq!((store.calls("complete"), endpoint.notes.count("store error")), (1, 0));
}
