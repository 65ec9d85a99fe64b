//! Shutdown: the intake stops, what runs may end, what does not end is given back: contract,
//! section 8.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::receiving::{
    Body, Endpoint, FAILED, Fault, Gate, HANDLED, NOW, Request, SECRET, ScriptedStore, Step, UNAUTHORIZED, UNAVAILABLE,
    answer, circa, circa_body, header, routes, seconds, settle,
};
use circa_receiver::{DedupStore, testing::CircaSigner};
use tokio::{task::JoinHandle, time::Instant};

fn shut_down(endpoint: &Endpoint) -> JoinHandle<Duration> {
    let receiver = endpoint.receiver.clone();
    tokio::spawn(async move {
        let start = Instant::now();
        receiver.shutdown().await;
        start.elapsed()
    })
}

/// The same event, signed for as long after `start` as it is now.
fn again(id: &str, start: Instant) -> Request {
    let at = NOW + i64::try_from(start.elapsed().as_secs()).unwrap();
    Request::circa(id).resigned(&CircaSigner::new(SECRET), at)
}

/// With nothing running there is nothing to wait for.
#[tokio::test(start_paused = true)]
async fn with_nothing_running_it_returns_at_once() {
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    assert_eq!(shut_down(&endpoint).await.unwrap(), Duration::ZERO);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAVAILABLE);
    assert_eq!(shut_down(&endpoint).await.unwrap(), Duration::ZERO, "twice");
}

/// As above, after deliveries of every kind have come and gone.
#[tokio::test(start_paused = true)]
async fn what_has_ended_is_not_waited_for() {
    let fails = Arc::new(AtomicUsize::new(0));
    let endpoint = Endpoint::new(circa(), {
        let fails = Arc::clone(&fails);
        routes(move |_| {
            let run = fails.fetch_add(1, Ordering::SeqCst);
            async move {
                match run {
                    0 => Err("away".into()),
                    1 => panic!("on purpose"),
                    _ => Ok(()),
                }
            }
        })
    });
    for expected in [FAILED, FAILED, HANDLED] {
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), expected);
    }
    assert_eq!(shut_down(&endpoint).await.unwrap(), Duration::ZERO);
}

/// Contract, section 8: stop intake with 503. What is not authentic is still refused as such.
#[tokio::test(start_paused = true)]
async fn the_intake_is_stopped_with_503() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let running = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let down = shut_down(&endpoint);
    settle().await;
    endpoint.notes.take();
    let refused = endpoint.deliver(&Request::circa("evt_2")).await;
    assert_eq!(answer(&refused), UNAVAILABLE);
    assert_eq!(header(&refused, "retry-after"), None);
    assert_eq!(endpoint.notes.reason().as_deref(), Some("shutting_down"));
    let unsigned = Request::circa("evt_2").without("circa-signature");
    assert_eq!(answer(&endpoint.deliver(&unsigned).await), UNAUTHORIZED);
    assert_eq!(gate.started(), 1);
    gate.let_go(1);
    assert_eq!(answer(&running.await.unwrap()), HANDLED);
    down.await.unwrap();
}

/// Contract, section 8: let running handlers end until the drain deadline.
#[tokio::test(start_paused = true)]
async fn running_handlers_end() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa().ack_deadline(seconds(14)), gate.routes());
    let running: Vec<_> = (0..10).map(|index| endpoint.spawn(&Request::circa(&format!("evt_{index}")))).collect();
    for _ in 0..10 {
        gate.arrival().await;
    }
    let down = shut_down(&endpoint);
    tokio::time::sleep(seconds(9)).await;
    assert!(!down.is_finished());
    gate.let_go(9);
    settle().await;
    assert!(!down.is_finished(), "one still runs");
    gate.let_go(1);
    for response in running {
        assert_eq!(answer(&response.await.unwrap()), HANDLED);
    }
    let took = down.await.unwrap();
    assert!(took < seconds(10), "{took:?}: it waits no longer than the handlers run");
}

/// Contract, section 8: then release what has not ended: another receiver on the same store has it
/// at once.
#[tokio::test(start_paused = true)]
async fn what_has_not_ended_by_the_drain_deadline_is_stopped_and_released() {
    let (gate, other_gate) = (Gate::closed(), Gate::open());
    let store: Arc<dyn DedupStore> = Arc::new(ScriptedStore::memory());
    let start = Instant::now();
    let here = Endpoint::new(circa().dedup(Arc::clone(&store)), gate.routes());
    let there = Endpoint::new(circa().dedup(store), other_gate.routes());
    let running = here.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let took = shut_down(&here).await.unwrap();
    assert!(took >= seconds(20) && took < seconds(21), "{took:?}: the default is 20 s");
    assert_eq!(answer(&running.await.unwrap()), UNAVAILABLE);
    let asked = Instant::now();
    assert_eq!(answer(&there.deliver(&again("evt_1", start)).await), HANDLED);
    assert_eq!(asked.elapsed(), Duration::ZERO, "released, not lapsed");
    gate.let_go(1);
    settle().await;
    assert_eq!((gate.started(), gate.ended()), (1, 0), "it was stopped");
    assert_eq!(other_gate.ended(), 1);
}

/// As above, for a sender that still waits: 503, in words that say nothing.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_handler_that_is_stopped_is_answered_503() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa().drain_deadline(seconds(3)), gate.routes());
    let running = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let waiting = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    let took = shut_down(&endpoint).await.unwrap();
    assert!(took >= seconds(3) && took < seconds(4), "{took:?}");
    for response in [running, waiting] {
        let response = response.await.unwrap();
        assert_eq!((answer(&response), header(&response, "retry-after")), (UNAVAILABLE, None));
    }
    assert_eq!(gate.started(), 1);
}

/// A drain deadline of zero gives back at once.
#[tokio::test(start_paused = true)]
async fn a_drain_deadline_of_zero_waits_for_nobody() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa().drain_deadline(Duration::ZERO), gate.routes());
    let running = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let took = shut_down(&endpoint).await.unwrap();
    assert!(took < Duration::from_millis(5), "{took:?}");
    assert_eq!(answer(&running.await.unwrap()), UNAVAILABLE);
}

/// What was admitted before and comes to its claim afterwards does not start, and keeps no claim.
#[tokio::test(start_paused = true)]
async fn what_is_still_on_its_way_to_the_handler_does_not_start() {
    let gate = Gate::open();
    let store = ScriptedStore::memory();
    store.script("claim", Fault::Yield, 1);
    let shared: Arc<dyn DedupStore> = Arc::new(store.clone());
    let here = Endpoint::new(circa().dedup(Arc::clone(&shared)), gate.routes());
    let there = Endpoint::new(circa().dedup(shared), gate.routes());
    let on_its_way = here.spawn(&Request::circa("evt_1"));
    while store.calls("claim") == 0 {
        tokio::task::yield_now().await;
    }
    here.receiver.shutdown().await;
    assert_eq!(answer(&on_its_way.await.unwrap()), UNAVAILABLE);
    assert_eq!(here.notes.reason().as_deref(), Some("shutting_down"));
    assert_eq!(gate.started(), 0);
    let asked = Instant::now();
    assert_eq!(answer(&there.deliver(&Request::circa("evt_1")).await), HANDLED);
    assert_eq!(asked.elapsed(), Duration::ZERO, "released, not lapsed");
}

/// As above, for a body that is still being read.
#[tokio::test(start_paused = true)]
async fn what_is_still_being_read_does_not_start() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let reading = tokio::spawn({
        let endpoint = endpoint.clone();
        let body = Body::new([Step::Pause(seconds(2)), Step::Chunk(circa_body("evt_1").into())]);
        async move { endpoint.deliver_with(&Request::circa("evt_1"), body).await }
    });
    settle().await;
    endpoint.receiver.shutdown().await;
    assert_eq!(answer(&reading.await.unwrap()), UNAVAILABLE);
    assert_eq!(gate.started(), 0);
}

/// Two shutdowns at once: both return when all has ended.
#[tokio::test(start_paused = true)]
async fn two_shutdowns_at_once_both_wait() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let running = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let downs = [shut_down(&endpoint), shut_down(&endpoint)];
    settle().await;
    assert!(downs.iter().all(|down| !down.is_finished()));
    gate.let_go(1);
    for down in downs {
        assert!(down.await.unwrap() < seconds(1));
    }
    assert_eq!(answer(&running.await.unwrap()), HANDLED);
}

/// A handler that outlasted its ack deadline is still running, and is waited for.
#[tokio::test(start_paused = true)]
async fn a_handler_that_nobody_waits_for_any_more_is_drained_too() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAVAILABLE);
    let down = shut_down(&endpoint);
    tokio::time::sleep(seconds(5)).await;
    assert!(!down.is_finished());
    gate.let_go(1);
    down.await.unwrap();
    assert_eq!(gate.ended(), 1);
}

/// A store that hangs holds the shutdown up for no longer than its timeout.
#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_does_not_hold_the_shutdown_up() {
    let (gate, store) = (Gate::closed(), ScriptedStore::memory());
    store.script("release", Fault::Hang, usize::MAX);
    let endpoint = Endpoint::new(circa().dedup(store), gate.routes());
    let _running = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let took = shut_down(&endpoint).await.unwrap();
    assert!(took >= seconds(20) && took <= seconds(23), "{took:?}");
    assert_eq!(endpoint.notes.count("store error at release"), 1);
}

/// A shutdown that is itself given up has stopped the intake all the same.
#[tokio::test(start_paused = true)]
async fn a_shutdown_that_is_dropped_has_stopped_the_intake() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let running = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let down = shut_down(&endpoint);
    settle().await;
    down.abort();
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_2")).await), UNAVAILABLE);
    gate.let_go(1);
    assert_eq!(answer(&running.await.unwrap()), HANDLED);
    assert_eq!(shut_down(&endpoint).await.unwrap(), Duration::ZERO);
}

/// Contract, section 8: "then release what has not ended": who waits for a claim that is held
/// elsewhere does not hold the shutdown up either.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_claim_held_elsewhere_is_answered_503_at_the_drain_deadline() {
    let store: Arc<dyn DedupStore> = Arc::new(ScriptedStore::memory());
    let (gate, start) = (Gate::closed(), Instant::now());
    let there = Endpoint::new(circa().dedup(Arc::clone(&store)), gate.routes());
    let here = circa().dedup(store).drain_deadline(Duration::from_millis(100));
    let here = Endpoint::new(here, Gate::open().routes());
    let _held = there.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let waiting = here.spawn(&Request::circa("evt_1"));
    settle().await;
    assert_eq!(shut_down(&here).await.unwrap(), Duration::from_millis(100), "from {start:?}");
    assert_eq!(answer(&waiting.await.unwrap()), UNAVAILABLE);
}
