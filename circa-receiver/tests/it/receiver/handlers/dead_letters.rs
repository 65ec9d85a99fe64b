//! Permanent errors: the dead-letter sink comes before the answer, and may itself be slow, fail or
//! panic.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use circa_receiver::{BoxError, DeadLetter, DeadLetterSink, Event, ReceiverBuilder, Routes, event::DatapointPulled};
use tokio::{sync::Semaphore, time::Instant};

use super::{End, again, ending};
use crate::support::receiving::{
    DEAD_LETTERED, DUPLICATE, Endpoint, FAILED, Fault, HANDLED, Request, ScriptedStore, UNAVAILABLE, answer, circa,
    circa_body, header, seconds, settle,
};

/// A dead-letter sink that keeps what it is given, fails, or panics.
#[derive(Clone, Default)]
struct Sink {
    letters: Arc<Mutex<Vec<(String, String, String)>>>,
    failures: Arc<AtomicUsize>,
}

impl Sink {
    fn failing(times: usize) -> Self {
        Self { failures: Arc::new(AtomicUsize::new(times)), ..Self::default() }
    }
}

#[async_trait]
impl DeadLetterSink for Sink {
    async fn bury(&self, letter: DeadLetter<'_>) -> Result<(), BoxError> {
        tokio::task::yield_now().await;
        if self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err("the disk is full".into());
        }
        let body = String::from_utf8(letter.event().body().to_vec()).unwrap();
        self.letters.lock().unwrap().push((letter.endpoint().to_owned(), body, letter.error().to_string()));
        Ok(())
    }
}

/// Contract, section 8: permanent error: the dead-letter sink, then 200 `dead-lettered`.
#[tokio::test]
async fn a_permanent_error_goes_to_the_sink_and_is_done() {
    let sink = Sink::default();
    let (routes, runs) = ending(&[End::Permanent]);
    let endpoint = Endpoint::new(circa().endpoint("billing").dead_letters(sink.clone()), routes);
    let response = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!(answer(&response), DEAD_LETTERED);
    assert_eq!(header(&response, "circa-receiver-outcome"), Some("dead-lettered"));
    let expected = ("billing".to_owned(), circa_body("evt_1"), "no such material".to_owned());
    assert_eq!(*sink.letters.lock().unwrap(), [expected]);
    assert_eq!(endpoint.notes.count("dead-lettered: no such material"), 1);
    assert_eq!(endpoint.notes.count("failed"), 0);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

/// As above: only what is permanent goes there.
#[tokio::test]
async fn only_permanent_errors_go_to_the_sink() {
    for end in [End::Success, End::Retryable, End::Panic, End::PanicBeforeTheFirstAwait] {
        let sink = Sink::default();
        let endpoint = Endpoint::new(circa().dead_letters(sink.clone()), ending(&[end]).0);
        let _ = endpoint.deliver(&Request::circa("evt_1")).await;
        assert!(sink.letters.lock().unwrap().is_empty(), "{end:?}");
    }
}

/// A sink that fails keeps nothing: 500 and released, so that the sender's retries keep the event
/// alive.
#[tokio::test]
async fn a_sink_that_fails_leaves_the_event_to_the_senders_retries() {
    let sink = Sink::failing(1);
    let endpoint = Endpoint::new(circa().dead_letters(sink.clone()), ending(&[End::Permanent, End::Permanent]).0);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), FAILED);
    assert_eq!(endpoint.notes.count("dead letter failed: the disk is full"), 1);
    assert_eq!(endpoint.notes.count("failed: no such material"), 1);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DEAD_LETTERED);
    assert_eq!(sink.letters.lock().unwrap().len(), 1);
}

/// Contract, section 8: the sink comes before the 200: a claim that cannot be completed does not
/// lose the letter.
#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_kept_though_the_claim_cannot_be_completed() {
    let (sink, store) = (Sink::default(), ScriptedStore::memory());
    store.script("complete", Fault::Fail, usize::MAX);
    let builder = circa().dead_letters(sink.clone()).dedup(store);
    let endpoint = Endpoint::new(builder, ending(&[End::Permanent]).0);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DEAD_LETTERED);
    assert_eq!(endpoint.notes.count("store error at complete"), 1);
    assert_eq!(sink.letters.lock().unwrap().len(), 1);
}

/// Contract, section 8: the typed decode of a known type fails: permanent.
#[tokio::test]
async fn a_typed_decode_that_fails_is_permanent() {
    let pulled = |data: &str| Request::signed(format!(r#"{{"id":"evt_1","type":"datapoint.pulled"{data}}}"#));
    let good = r#","data":{"unit":"property","materialId":"m","propertyIds":["p"],"userId":"u"}"#;
    let cases = [
        ("good", good, HANDLED),
        ("an unknown unit is data", r#","data":{"unit":"rocket"}"#, HANDLED),
        ("a field of the wrong type", r#","data":{"unit":"property","materialId":7,"propertyIds":[]}"#, DEAD_LETTERED),
        ("no data", "", DEAD_LETTERED),
        ("null", r#","data":null"#, DEAD_LETTERED),
    ];
    for (name, data, expected) in cases {
        let runs = Arc::new(AtomicUsize::new(0));
        let handler = {
            let runs = Arc::clone(&runs);
            move |_: Event<DatapointPulled>, (): ()| {
                runs.fetch_add(1, Ordering::SeqCst);
                std::future::ready(Ok(()))
            }
        };
        let sink = Sink::default();
        let endpoint = Endpoint::new(circa().dead_letters(sink.clone()), Routes::new().on(handler.clone()));
        assert_eq!(answer(&endpoint.deliver(&pulled(data)).await), expected, "{name}");
        assert_eq!(runs.load(Ordering::SeqCst), usize::from(expected == HANDLED), "{name}");
        assert_eq!(sink.letters.lock().unwrap().len(), usize::from(expected == DEAD_LETTERED), "{name}");

        let without_sink = Endpoint::new(circa(), Routes::new().on(handler));
        let expected = if expected == HANDLED { HANDLED } else { FAILED };
        assert_eq!(answer(&without_sink.deliver(&pulled(data)).await), expected, "{name}, without a sink");
    }
}

/// A sink that does not answer.
struct Stuck(Arc<Semaphore>);

#[async_trait]
impl DeadLetterSink for Stuck {
    async fn bury(&self, _: DeadLetter<'_>) -> Result<(), BoxError> {
        self.0.acquire().await?.forget();
        Ok(())
    }
}

fn with_stuck_sink(builder: ReceiverBuilder) -> (Endpoint, Arc<Semaphore>, Arc<AtomicUsize>) {
    let passes = Arc::new(Semaphore::new(0));
    let (routes, runs) = ending(&[End::Permanent; 2]);
    (Endpoint::new(builder.dead_letters(Stuck(Arc::clone(&passes))), routes), passes, runs)
}

/// Contract, section 8: ack deadline passed: 503 with `Retry-After: 30`, also where it is the sink
/// that takes long.
#[tokio::test(start_paused = true)]
async fn a_slow_sink_is_bounded_by_the_ack_deadline() {
    let (endpoint, passes, _) = with_stuck_sink(circa());
    let response = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!((answer(&response), header(&response, "retry-after")), (UNAVAILABLE, Some("30")));
    passes.add_permits(1);
    settle().await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
}

/// Contract, section 8: the task runs on with its lease renewed, also while the sink takes long:
/// nobody else runs the handler meanwhile.
#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_while_the_sink_takes_long() {
    let store = ScriptedStore::memory();
    let start = Instant::now();
    let (endpoint, passes, runs) = with_stuck_sink(circa().dedup(store.clone()));
    let _ = endpoint.deliver(&Request::circa("evt_1")).await;
    tokio::time::sleep(seconds(200)).await;
    assert!(store.calls("renew") >= 9, "{}", store.calls("renew"));
    passes.add_permits(1);
    settle().await;
    assert_eq!(answer(&endpoint.deliver(&again("evt_1", start)).await), DUPLICATE);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(endpoint.notes.count("claim lost"), 0);
}

/// Contract, section 8: shutdown releases what has not ended by the drain deadline, also where it
/// is the sink that does not end.
#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_does_not_hold_the_shutdown_up() {
    let (endpoint, _, _) = with_stuck_sink(circa());
    let running = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    let start = Instant::now();
    let down = tokio::time::timeout(seconds(60), endpoint.receiver.shutdown()).await;
    assert!(down.is_ok(), "still waiting after a minute");
    assert!(start.elapsed() < seconds(33), "{:?}", start.elapsed());
    assert_eq!(running.await.unwrap().status(), 503);
}

/// A sink that panics has kept nothing: 500 and released, and the receiver lives.
#[tokio::test]
async fn a_sink_that_panics_leaves_the_event_to_the_senders_retries() {
    struct Panicking;

    #[async_trait]
    impl DeadLetterSink for Panicking {
        async fn bury(&self, _: DeadLetter<'_>) -> Result<(), BoxError> {
            panic!("no disk")
        }
    }

    let endpoint = Endpoint::new(circa().dead_letters(Panicking), ending(&[End::Permanent]).0);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), FAILED);
    settle().await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    endpoint.receiver.shutdown().await;
}
