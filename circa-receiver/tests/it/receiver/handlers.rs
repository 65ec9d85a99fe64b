//! Handlers: how they end, and what the sender is told: contract, section 8.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::support::receiving::{
    Body, DEAD_LETTERED, DUPLICATE, Endpoint, FAILED, Fault, Gate, HANDLED, IGNORED, NOW, Request, SECRET,
    ScriptedStore, Step, UNAVAILABLE, answer, circa, circa_body, circularo, circularo_body, header, routes, seconds,
    settle,
};
use async_trait::async_trait;
use circa_receiver::{
    AnyEvent, BoxError, Builder, DeadLetter, DeadLetterSink, Event, EventData, HandlerError, Mode, Outcome,
    PortableHandler, Reception, RouteError, Routes, Sender,
    event::{DatapointPulled, DocumentSigned, WebhookTest},
    testing::CircaSigner,
};
use tokio::{sync::Semaphore, time::Instant};

/// Status and body.
type Answer = (u16, &'static str);

/// How a handler's run ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Success,
    Retryable,
    Permanent,
    Panic,
    PanicBeforeTheFirstAwait,
    PanicWithoutMessage,
}

/// Routes whose handler ends its runs like this, one after the other, and with success from then on.
fn ending(ends: &[End]) -> (Routes<PortableHandler<()>>, Arc<AtomicUsize>) {
    let ends = Arc::new(Mutex::new(ends.iter().copied().collect::<VecDeque<_>>()));
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let routes = routes(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let end = ends.lock().unwrap().pop_front().unwrap_or(End::Success);
        if let End::PanicBeforeTheFirstAwait = end {
            panic!("at once");
        }
        async move {
            tokio::task::yield_now().await;
            match end {
                End::Success | End::PanicBeforeTheFirstAwait => Ok(()),
                End::Retryable => Err(HandlerError::retryable("the database is away")),
                End::Permanent => Err(HandlerError::permanent("no such material")),
                End::Panic => panic!("index {} out of bounds", 7),
                End::PanicWithoutMessage => std::panic::panic_any(7_u8),
            }
        }
    });
    (routes, runs)
}

/// Contract, section 8: success: 200 `handled`. Retryable error and panic: 500, released: the next delivery runs again, then duplicate.
#[tokio::test]
async fn each_end_of_a_handler_has_its_answer_and_a_failed_run_is_run_again() {
    let cases: [(&str, &[End], &[Answer]); 7] = [
        ("success", &[End::Success], &[HANDLED, DUPLICATE]),
        ("retryable", &[End::Retryable], &[FAILED, HANDLED, DUPLICATE]),
        ("retryable twice", &[End::Retryable, End::Retryable], &[FAILED, FAILED, HANDLED, DUPLICATE]),
        ("panic", &[End::Panic], &[FAILED, HANDLED, DUPLICATE]),
        ("panic before the first await", &[End::PanicBeforeTheFirstAwait], &[FAILED, HANDLED, DUPLICATE]),
        ("panic without a message", &[End::PanicWithoutMessage], &[FAILED, HANDLED, DUPLICATE]),
        ("permanent, without a sink", &[End::Permanent, End::Permanent], &[FAILED, FAILED, HANDLED, DUPLICATE]),
    ];
    for (name, ends, expected) in cases {
        let (routes, runs) = ending(ends);
        let endpoint = Endpoint::new(circa(), routes);
        for (index, expected) in expected.iter().enumerate() {
            let response = endpoint.deliver(&Request::circa("evt_1")).await;
            assert_eq!(answer(&response), *expected, "{name}, delivery {index}");
            assert_eq!(header(&response, "retry-after"), None, "{name}, delivery {index}");
        }
        assert_eq!(runs.load(Ordering::SeqCst), expected.len() - 1, "{name}");
    }
}

/// As above: the observer is told the handler's own error, or of the panic; the sender is not.
#[tokio::test]
async fn the_observer_is_told_how_a_handler_failed() {
    let cases = [
        (End::Success, "handled"),
        (End::Retryable, "failed: the database is away"),
        (End::Permanent, "failed: no such material"),
        (End::Panic, "failed: the handler panicked: index 7 out of bounds"),
        (End::PanicBeforeTheFirstAwait, "failed: the handler panicked: at once"),
        (End::PanicWithoutMessage, "failed: the handler panicked: no message"),
    ];
    for (end, note) in cases {
        let endpoint = Endpoint::new(circa(), ending(&[end]).0);
        let _ = endpoint.deliver(&Request::circa("evt_1")).await;
        let expected = ["received circa", "authenticated evt_1 by #0", note];
        assert_eq!(endpoint.notes.all(), expected, "{end:?}");
    }
}

/// Contract, section 8: panic: the server lives; nothing of the receiver is poisoned by a hundred of them at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_panics_at_once_leave_the_receiver_alive() {
    let (routes, _) = ending(&[End::Panic; 100]);
    let endpoint = Endpoint::new(circa(), routes);
    let waiting: Vec<_> = (0..100).map(|index| endpoint.spawn(&Request::circa(&format!("evt_{index}")))).collect();
    for response in waiting {
        assert_eq!(answer(&response.await.unwrap()), FAILED);
    }
    for index in 0..100 {
        assert_eq!(answer(&endpoint.deliver(&Request::circa(&format!("evt_{index}"))).await), HANDLED, "{index}");
    }
}

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

/// A sink that fails keeps nothing: 500 and released, so that the sender's retries keep the event alive.
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

/// Contract, section 8: the sink comes before the 200: a claim that cannot be completed does not lose the letter.
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

/// What a status of an HTTP-flavoured handler means: 2xx done, 4xx permanent, everything else retryable.
#[test]
fn the_status_of_a_handler_decides() {
    let permanent = |status| HandlerError::from_handler_status(status).err().map(|error| error.is_permanent());
    let of_service = |status| HandlerError::from_service_status(status).err().map(|error| error.is_permanent());
    for status in 100..600 {
        let expected = match status {
            200..=299 => None,
            400..=499 => Some(true),
            _ => Some(false),
        };
        assert_eq!(permanent(status), expected, "{status}");
        assert_eq!(of_service(status), (!(200..=299).contains(&status)).then_some(false), "{status} of a service");
    }
}

/// The same event, signed for as long after `start` as it is now.
fn again(id: &str, start: Instant) -> Request {
    let at = NOW + i64::try_from(start.elapsed().as_secs()).unwrap();
    Request::circa(id).resigned(&CircaSigner::new(SECRET), at)
}

/// Contract, section 8: ack deadline (default 10 s) passed: 503 with `Retry-After: 30`; the task runs on with its lease renewed; when it
/// succeeds the claim is completed, and the sender's next attempt is answered `duplicate`.
#[tokio::test(start_paused = true)]
async fn a_handler_that_outlasts_the_ack_deadline_runs_on_and_is_done() {
    let (gate, store) = (Gate::closed(), ScriptedStore::memory());
    let endpoint = Endpoint::new(circa().dedup(store.clone()), gate.routes());
    let start = Instant::now();
    let response = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!(answer(&response), UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), Some("30"));
    assert_eq!(header(&response, "circa-receiver-outcome"), None);
    assert!(start.elapsed() >= seconds(10) && start.elapsed() < seconds(11), "{:?}", start.elapsed());
    assert_eq!(endpoint.notes.count("unfinished"), 1);
    assert_eq!((gate.started(), gate.ended()), (1, 0), "it runs on");
    // Far beyond the first lease.
    tokio::time::sleep(seconds(200)).await;
    assert_eq!(store.calls("renew"), 10);
    gate.let_go(1);
    settle().await;
    assert_eq!(gate.ended(), 1);
    assert_eq!(endpoint.notes.count("handled"), 1);
    assert_eq!(answer(&endpoint.deliver(&again("evt_1", start)).await), DUPLICATE);
    assert_eq!(gate.started(), 1);
}

/// As above, when it fails after all: released, so that the sender's next attempt runs it again.
#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_after_the_ack_deadline_is_run_again() {
    let gate = Gate::closed();
    let failures = Arc::new(AtomicUsize::new(1));
    let endpoint = Endpoint::new(circa(), {
        let gate = gate.clone();
        routes(move |_| {
            let (gate, failures) = (gate.clone(), Arc::clone(&failures));
            async move {
                gate.pass().await;
                if failures.swap(0, Ordering::SeqCst) == 1 { Err("too late".into()) } else { Ok(()) }
            }
        })
    });
    let start = Instant::now();
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAVAILABLE);
    gate.let_go(2);
    settle().await;
    assert_eq!(endpoint.notes.count("failed: too late"), 1);
    assert_eq!(answer(&endpoint.deliver(&again("evt_1", start)).await), HANDLED);
    assert_eq!(gate.started(), 2);
}

/// Contract, section 8: counted from the arrival of the request's head, body reading included.
#[tokio::test(start_paused = true)]
async fn the_ack_deadline_counts_from_the_arrival_of_the_head() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let body = Body::new([Step::Pause(seconds(8)), Step::Chunk(circa_body("evt_1").into())]);
    let start = Instant::now();
    let response = endpoint.deliver_with(&Request::circa("evt_1"), body).await;
    assert_eq!(answer(&response), UNAVAILABLE);
    assert_eq!(gate.started(), 1, "the handler had 2 s left");
    assert!(start.elapsed() >= seconds(10) && start.elapsed() < seconds(11), "{:?}", start.elapsed());
}

/// As above: a slow store uses the same deadline up.
#[tokio::test(start_paused = true)]
async fn the_ack_deadline_includes_the_claim() {
    let store = ScriptedStore::memory();
    store.script("claim", Fault::Hang, 1);
    let builder = circa().ack_deadline(seconds(1)).store_timeout(seconds(5)).dedup(store);
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    let start = Instant::now();
    let response = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!((answer(&response), header(&response, "retry-after")), (UNAVAILABLE, Some("30")));
    assert!(start.elapsed() < Duration::from_millis(1_010), "{:?}", start.elapsed());
}

/// A handler that ends just before the deadline is answered as it ended.
#[tokio::test(start_paused = true)]
async fn a_handler_that_ends_in_time_is_answered_as_it_ended() {
    for (millis, expected) in [(9_990, HANDLED), (10_010, UNAVAILABLE)] {
        let endpoint = Endpoint::new(
            circa(),
            routes(move |_| async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Ok(())
            }),
        );
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), expected, "{millis} ms");
    }
}

/// Contract, section 8: a handler runs in its own task: neither a sender that hangs up nor a dropped request future stops it half-way.
#[tokio::test(start_paused = true)]
async fn a_dropped_request_does_not_stop_the_handler() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let request = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert_eq!((gate.started(), gate.ended()), (1, 0));
    let waiting = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    gate.let_go(1);
    assert_eq!(answer(&waiting.await.unwrap()), DUPLICATE);
    assert_eq!((gate.started(), gate.ended()), (1, 1));
    assert_eq!(endpoint.notes.count("handled"), 1);
}

/// As above: the task alone is enough; nobody needs to poll the answer.
#[tokio::test]
async fn the_task_runs_though_nobody_waits_for_the_answer() {
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    let request = Request::circa("evt_1");
    let head = (request.method, &request.headers[..]);
    let body = Body::whole(request.body.clone());
    let Reception::Admitted(admitted, handler) = endpoint.receiver.receive(&head, body, &endpoint.routes).await else {
        panic!("not admitted")
    };
    assert_eq!(admitted.delivery().event().id(), "evt_1");
    let handler = handler.clone();
    let (task, unwanted) = admitted.run(move |delivery| handler.call(delivery.event().clone(), ()));
    drop(unwanted);
    assert_eq!(task.await, Outcome::Handled);
    assert_eq!(answer(&endpoint.deliver(&request).await), DUPLICATE);
}

/// A task that is stopped from outside has not handled the event: 500, never 2xx.
#[tokio::test]
async fn a_task_that_is_stopped_is_answered_500() {
    let endpoint = Endpoint::new(circa(), Gate::closed().routes());
    let request = Request::circa("evt_1");
    let head = (request.method, &request.headers[..]);
    let body = Body::whole(request.body.clone());
    let Reception::Admitted(admitted, _) = endpoint.receiver.receive(&head, body, &endpoint.routes).await else {
        panic!("not admitted")
    };
    let (task, stopped) = admitted.run(|_| std::future::pending());
    let task = tokio::spawn(task);
    task.abort();
    assert_eq!(answer(&stopped.wait_for(task).await), FAILED);
}

/// Many handlers run at once; one that stands still holds no other up.
#[tokio::test(start_paused = true)]
async fn a_handler_that_stands_still_holds_no_other_up() {
    let gate = Gate::closed();
    let stuck = gate.clone();
    let handler = move |event: AnyEvent| {
        let stuck = stuck.clone();
        async move {
            if event.id() == "evt_stuck" {
                stuck.pass().await;
            }
            Ok(())
        }
    };
    let endpoint = Endpoint::new(circa(), routes(handler));
    let waiting = endpoint.spawn(&Request::circa("evt_stuck"));
    gate.arrival().await;
    for index in 0..50 {
        assert_eq!(answer(&endpoint.deliver(&Request::circa(&format!("evt_{index}"))).await), HANDLED);
    }
    assert!(!waiting.is_finished());
}

/// Which of several handlers has run.
fn naming(name: &'static str, ran: &Arc<Mutex<Vec<&'static str>>>) -> impl Fn(AnyEvent, ()) -> Ready + Clone + use<> {
    let ran = Arc::clone(ran);
    move |_, ()| {
        ran.lock().unwrap().push(name);
        std::future::ready(Ok(()))
    }
}

type Ready = std::future::Ready<Result<(), HandlerError>>;

/// Contract, section 8: no handler for the type: the fallback if there is one, else 200 `ignored`, counted. Exact match only, no prefixes.
#[tokio::test]
async fn types_match_exactly_or_go_to_the_fallback() {
    let cases = [
        ("webhook.test", "exact"),
        ("webhook.test.extra", "fallback"),
        ("webhook", "fallback"),
        ("webhook.", "fallback"),
        ("Webhook.Test", "fallback"),
        ("webhook-test", "fallback"),
        ("xwebhook.test", "fallback"),
        ("never.seen.before", "fallback"),
    ];
    for (event_type, expected) in cases {
        let body = circa_body("evt_1").replace("webhook.test", event_type);
        let ran = Arc::default();
        let with_fallback =
            Routes::new().on_type("webhook.test", naming("exact", &ran)).fallback(naming("fallback", &ran));
        let endpoint = Endpoint::new(circa(), with_fallback);
        assert_eq!(answer(&endpoint.deliver(&Request::signed(body.clone())).await), HANDLED, "{event_type}");
        assert_eq!(*ran.lock().unwrap(), [expected], "{event_type}");

        let endpoint = Endpoint::new(circa(), Routes::new().on_type("webhook.test", naming("exact", &ran)));
        let response = endpoint.deliver(&Request::signed(body)).await;
        let ignored = expected == "fallback";
        assert_eq!(answer(&response), if ignored { IGNORED } else { HANDLED }, "{event_type}, without a fallback");
        assert_eq!(endpoint.notes.count("ignored"), usize::from(ignored), "{event_type}");
    }
}

/// The type stands in the signed body; an escape in it changes nothing.
#[tokio::test]
async fn an_escaped_type_is_the_same_type() {
    let ran = Arc::default();
    let endpoint = Endpoint::new(circa(), Routes::new().on_type("webhook.test", naming("exact", &ran)));
    let body = circa_body("evt_1").replace("webhook.test", "webhook\\u002etest");
    assert_eq!(answer(&endpoint.deliver(&Request::signed(body)).await), HANDLED);
    assert_eq!(*ran.lock().unwrap(), ["exact"]);
}

/// The event type of a handler comes from its argument's type; the handler gets the typed data and the envelope.
#[tokio::test]
async fn a_typed_handler_gets_the_events_of_its_type() {
    let message = Arc::new(Mutex::new(String::new()));
    let tested = {
        let message = Arc::clone(&message);
        move |event: Event<WebhookTest>, (): ()| {
            let message = Arc::clone(&message);
            async move {
                *message.lock().unwrap() = format!("{} {}", event.id(), event.data().message());
                Ok(())
            }
        }
    };
    let endpoint = Endpoint::new(circa(), Routes::new().on(tested));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    assert_eq!(*message.lock().unwrap(), "evt_1 hello");

    let signed = async |event: Event<DocumentSigned>, (): ()| {
        assert_eq!(event.document_id(), Some("doc"));
        Ok(())
    };
    let endpoint = Endpoint::new(circularo(), Routes::new().on(signed));
    assert_eq!(answer(&endpoint.deliver(&Request::circularo(circularo_body("doc"))).await), HANDLED);
}

/// Data types that do not hand every error on.
mod careless {
    use circa_receiver::{EventData, Sender};
    use serde::{
        Deserialize, Deserializer,
        de::{Error, Visitor},
    };

    /// A string of any bytes.
    pub(super) struct AnyBytes;

    /// A string, if it is one.
    pub(super) struct Swallowing;

    /// Does not look at the data.
    pub(super) struct FromNothing;

    /// Panics.
    pub(super) struct Panicking;

    impl<'de> Deserialize<'de> for AnyBytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_bytes(Self)
        }
    }

    impl Visitor<'_> for AnyBytes {
        type Value = Self;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Self, E> {
            Ok(self)
        }
    }

    impl<'de> Deserialize<'de> for Swallowing {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let _ = String::deserialize(deserializer);
            Ok(Self)
        }
    }

    impl<'de> Deserialize<'de> for FromNothing {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }

    impl<'de> Deserialize<'de> for Panicking {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            panic!("not today")
        }
    }

    macro_rules! of_pulls {
        ($($name:ident)*) => {$(
            impl EventData for $name {
                const SENDER: Sender = Sender::CIRCA;
                const TYPE: &'static str = "datapoint.pulled";
            }
        )*};
    }

    of_pulls! { AnyBytes Swallowing FromNothing Panicking }
}

fn taking<T: EventData>() -> Routes<PortableHandler<()>> {
    async fn take<T: EventData>(_: Event<T>, (): ()) -> Result<(), HandlerError> {
        Ok(())
    }
    Routes::new().on(take::<T>)
}

/// Contract, sections 5 and 8: whatever type a handler takes, the same bodies are JSON; data that does not decode, or panics, is its handler's failure.
#[tokio::test]
async fn what_a_handler_takes_does_not_change_what_is_json() {
    use careless::{AnyBytes, FromNothing, Panicking, Swallowing};

    const MALFORMED: Answer = (400, "bad request");
    let cases = [
        (r#""text""#, taking::<AnyBytes>(), HANDLED),
        (r#""\ud800""#, taking::<AnyBytes>(), HANDLED),
        ("\"line\nbreak\"", taking::<AnyBytes>(), MALFORMED),
        ("\"a\u{1}b\"", taking::<AnyBytes>(), MALFORMED),
        ("7", taking::<AnyBytes>(), FAILED),
        (r#""text""#, taking::<Swallowing>(), HANDLED),
        (r#""\ud800é""#, taking::<Swallowing>(), FAILED),
        (r#""\é""#, taking::<Swallowing>(), MALFORMED),
        ("nulx", taking::<Swallowing>(), MALFORMED),
        ("{}", taking::<FromNothing>(), FAILED),
        ("{]", taking::<FromNothing>(), MALFORMED),
        ("", taking::<FromNothing>(), MALFORMED),
        ("{}", taking::<Panicking>(), FAILED),
        ("{]", taking::<Panicking>(), MALFORMED),
        ("{}", taking::<DatapointPulled>(), FAILED),
        ("{]", taking::<DatapointPulled>(), MALFORMED),
        (r#"{"unit":"property","materialId":"m","propertyIds":["\ud800"]}"#, taking::<DatapointPulled>(), FAILED),
        (r#"{"unit":"property","materialId":"m","propertyIds":[],"x":1e400}"#, taking::<DatapointPulled>(), HANDLED),
        (r#"{"unit":"property","materialId":"m","propertyIds":[],"x":nulx}"#, taking::<DatapointPulled>(), MALFORMED),
        (r#"{"unit":"rocket"},"data":{"unit":"rocket"}"#, taking::<DatapointPulled>(), MALFORMED),
    ];
    for (data, routes, expected) in cases {
        let request = Request::signed(format!(r#"{{"id":"evt_1","type":"datapoint.pulled","data":{data}}}"#));
        let endpoint = Endpoint::new(circa(), routes);
        assert_eq!(answer(&endpoint.deliver(&request).await), expected, "{data}");
        let any = Endpoint::new(circa(), Routes::new().fallback(async |_: AnyEvent, (): ()| Ok(())));
        let expected = if expected == MALFORMED { MALFORMED } else { HANDLED };
        assert_eq!(answer(&any.deliver(&request).await), expected, "{data}, as any event");
    }
}

/// Contract, section 8: registering two handlers for one type is an error at build.
#[test]
fn two_handlers_for_one_type_are_an_error() {
    #[derive(serde::Deserialize)]
    struct OfMyOwn;

    impl EventData for OfMyOwn {
        const SENDER: Sender = Sender::CIRCA;
        const TYPE: &'static str = "webhook.test";
    }

    let any = async |_: AnyEvent, (): ()| Ok(());
    let typed = async |_: Event<WebhookTest>, (): ()| Ok(());
    let own = async |_: Event<OfMyOwn>, (): ()| Ok(());
    let twice = Err(RouteError::Duplicate("webhook.test".to_owned()));
    type Table = Routes<PortableHandler<()>>;
    let cases: [(&str, Table, Result<(), RouteError>); 6] = [
        ("one", Routes::new().on(typed), Ok(())),
        ("by name, twice", Routes::new().on_type("webhook.test", any).on_type("webhook.test", any), twice.clone()),
        ("by type and by name", Routes::new().on(typed).on_type("webhook.test", any), twice.clone()),
        ("by two types of one name", Routes::new().on(typed).on(own), twice),
        ("two fallbacks", Routes::new().fallback(any).fallback(any), Err(RouteError::TwoFallbacks)),
        ("none", Routes::new(), Err(RouteError::Empty)),
    ];
    for (name, routes, expected) in cases {
        assert_eq!(routes.check(Sender::CIRCA), expected, "{name}");
    }
}

fn with_livemode(livemode: &str) -> Request {
    Request::signed(circa_body("evt_1").replace(r#""livemode":false,"#, livemode))
}

/// Contract, sections 1 and 5: the mode; a missing `livemode` is accepted in mode `Any` and refused in `Live` and `Test`.
#[tokio::test]
async fn the_mode_decides_by_livemode() {
    let malformed = (400, "bad request");
    let (live, test, missing) = (r#""livemode":true,"#, r#""livemode":false,"#, "");
    let cases = [
        ("any, live", Mode::Any, live, HANDLED),
        ("any, test", Mode::Any, test, HANDLED),
        ("any, missing", Mode::Any, missing, HANDLED),
        ("live, live", Mode::Live, live, HANDLED),
        ("live, test", Mode::Live, test, IGNORED),
        ("live, missing", Mode::Live, missing, malformed),
        ("test, live", Mode::Test, live, IGNORED),
        ("test, test", Mode::Test, test, HANDLED),
        ("test, missing", Mode::Test, missing, malformed),
        ("any, null", Mode::Any, r#""livemode":null,"#, malformed),
        ("any, a string", Mode::Any, r#""livemode":"true","#, malformed),
        ("any, a number", Mode::Any, r#""livemode":1,"#, malformed),
    ];
    for (name, mode, livemode, expected) in cases {
        let gate = Gate::open();
        let endpoint = Endpoint::new(circa().mode(mode), gate.routes());
        assert_eq!(answer(&endpoint.deliver(&with_livemode(livemode)).await), expected, "{name}");
        assert_eq!(gate.started(), usize::from(expected == HANDLED), "{name}");
    }
    let by_default = Endpoint::new(circa(), Gate::open().routes());
    assert_eq!(answer(&by_default.deliver(&with_livemode(missing)).await), HANDLED);
}

/// Contract, section 6: identity and routing always come from the signed body.
#[tokio::test]
async fn unsigned_headers_do_not_route() {
    let ran = Arc::default();
    let routes = Routes::new().on_type("webhook.test", naming("test", &ran)).on_type("other", naming("other", &ran));
    let endpoint = Endpoint::new(circa(), routes);
    let request = Request::circa("evt_1").header("Circa-Event", "other");
    assert_eq!(answer(&endpoint.deliver(&request).await), (400, "bad request"));
    assert!(ran.lock().unwrap().is_empty());
    let request = Request::circa("evt_1").header("Circa-Event", "webhook.test").header("Circa-Event-Id", "evt_1");
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
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

fn with_stuck_sink(builder: Builder) -> (Endpoint, Arc<Semaphore>, Arc<AtomicUsize>) {
    let passes = Arc::new(Semaphore::new(0));
    let (routes, runs) = ending(&[End::Permanent; 2]);
    (Endpoint::new(builder.dead_letters(Stuck(Arc::clone(&passes))), routes), passes, runs)
}

/// Contract, section 8: ack deadline passed: 503 with `Retry-After: 30`, also where it is the sink that takes long.
#[tokio::test(start_paused = true)]
async fn a_slow_sink_is_bounded_by_the_ack_deadline() {
    let (endpoint, passes, _) = with_stuck_sink(circa());
    let response = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!((answer(&response), header(&response, "retry-after")), (UNAVAILABLE, Some("30")));
    passes.add_permits(1);
    settle().await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
}

/// Contract, section 8: the task runs on with its lease renewed, also while the sink takes long: nobody else runs the handler meanwhile.
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

/// Contract, section 8: shutdown releases what has not ended by the drain deadline, also where it is the sink that does not end.
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

/// Each handler's future is polled in its own task: what it does there is its own.
#[tokio::test]
async fn a_handler_may_spawn_and_wait() {
    let endpoint = Endpoint::new(circa(), routes(|_| spawned()));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
}

async fn spawned() -> Result<(), HandlerError> {
    tokio::spawn(async { tokio::task::yield_now().await }).await?;
    Ok(())
}
