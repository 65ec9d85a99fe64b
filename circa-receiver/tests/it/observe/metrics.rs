//! The metrics: all there from the start, with closed labels, and right.

use std::collections::{BTreeMap, BTreeSet};

use circa_receiver::inbox::{Inbox, Pause};
use circa_receiver::{
    AnyEvent, DeadLetter, DeadLetterSink, HandlerError, MetricsObserver, Receiver, ReceiverBuilder, Routes, Secret,
};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

use crate::support::receiving::{
    Endpoint, Fault, NOW, OTHER_SECRET, Request, SECRET, ScriptedInbox, ScriptedStore, circa, circa_body, circularo,
    routes, seconds,
};
use circa_receiver::{
    Observer,
    event::WebhookTest,
    testing::{self, CircaSigner, TokioClock},
};

/// A recorder of this test alone, for what is built with it.
struct Recorder(DebuggingRecorder);

impl Recorder {
    fn new() -> Self {
        Self(DebuggingRecorder::new())
    }

    fn build<T>(&self, build: impl FnOnce() -> T) -> T {
        metrics::with_local_recorder(&self.0, build)
    }

    fn series(&self) -> Series {
        Series::of(&self.0.snapshotter())
    }
}

/// Every series as `name{label="value",..}`, with its value; a histogram's is the sum of what was
/// recorded since the last time.
struct Series(BTreeMap<String, f64>);

impl Series {
    fn of(snapshotter: &Snapshotter) -> Self {
        let series = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
            let labels: Vec<String> =
                key.key().labels().map(|label| format!("{}={:?}", label.key(), label.value())).collect();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => *value,
                DebugValue::Histogram(values) => values.iter().map(|value| **value).sum(),
            };
            (format!("{}{{{}}}", key.key().name(), labels.join(",")), value)
        });
        Self(series.collect())
    }

    fn names(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    #[track_caller]
    fn assert(&self, expected: &[(&str, f64)]) {
        for (name, value) in expected {
            let name = format!("circa_receiver_{name}");
            assert_eq!(self.0.get(&name), Some(value), "{name} of {:#?}", self.0);
        }
    }
}

struct Sink;

#[async_trait::async_trait]
impl DeadLetterSink for Sink {
    async fn bury(&self, letter: DeadLetter<'_>) -> Result<(), circa_receiver::BoxError> {
        if letter.event().id() == "evt_unburied" { Err("full".into()) } else { Ok(()) }
    }
}

fn observed(builder: ReceiverBuilder) -> ReceiverBuilder {
    builder.observer(MetricsObserver::new().clock(TokioClock::starting_at(NOW)).event_types(["team.renamed"]))
}

async fn handle(event: AnyEvent, (): ()) -> Result<(), HandlerError> {
    match event.id() {
        "evt_failing" => Err("down".into()),
        "evt_never" | "evt_unburied" => Err(HandlerError::permanent("never")),
        "evt_slow" => {
            tokio::time::sleep(seconds(2)).await;
            Ok(())
        }
        "evt_later" => Err(HandlerError::retry_after(seconds(600), "busy")),
        "evt_endless" => std::future::pending().await,
        _ => Ok(()),
    }
}

/// A receiver with a handler for one type, and one for all others.
fn endpoint(recorder: &Recorder, builder: ReceiverBuilder, event_type: &str) -> Endpoint {
    let routes = Routes::new().on_type(event_type, handle).fallback(handle);
    recorder.build(|| {
        let endpoint = Endpoint::new(observed(builder), routes);
        endpoint.receiver.check_routes(&endpoint.routes).unwrap();
        endpoint
    })
}

fn typed(id: &str, event_type: &str) -> Request {
    Request::signed(circa_body(id).replace("webhook.test", event_type))
}

#[tokio::test(start_paused = true)]
async fn all_are_there_at_0_from_the_start() {
    let recorder = Recorder::new();
    let _circa = endpoint(&recorder, circa(), "webhook.test");
    let _circularo = endpoint(&recorder, circularo(), "documentSigned");
    let series = recorder.series();
    series.assert(&[
        ("deliveries_total{endpoint=\"circa\",outcome=\"handled\",reason=\"none\"}", 0.0),
        ("deliveries_total{endpoint=\"circularo\",outcome=\"rejected\",reason=\"signature_mismatch\"}", 0.0),
        ("handler_duration_seconds{endpoint=\"circa\",type=\"webhook.test\"}", 0.0),
        ("handler_duration_seconds{endpoint=\"circa\",type=\"other\"}", 0.0),
        ("handler_duration_seconds{endpoint=\"circularo\",type=\"documentSigned\"}", 0.0),
        ("handler_duration_seconds{endpoint=\"circa\",type=\"team.renamed\"}", 0.0),
        ("secret_last_match_timestamp_seconds{endpoint=\"circa\",secret=\"#0\"}", 0.0),
        ("in_progress{endpoint=\"circa\",stage=\"place\"}", 0.0),
        ("store_errors_total{endpoint=\"circa\",operation=\"claim\"}", 0.0),
        ("leases_lost_total{endpoint=\"circa\"}", 0.0),
    ]);
    let unrouted = "circa_receiver_handler_duration_seconds{endpoint=\"circa\",type=\"datapoint.pulled\"}";
    assert!(!series.0.contains_key(unrouted), "no handler is registered for it");
    let version = format!("circa_receiver_build_info{{version={:?}}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(series.0[&version], 1.0);
    assert!(series.0.iter().all(|(name, value)| *name == version || *value == 0.0), "{:#?}", series.0);
}

#[tokio::test(start_paused = true)]
async fn what_happens_is_counted() {
    let recorder = Recorder::new();
    let store = ScriptedStore::memory();
    let endpoint = endpoint(&recorder, circa().dedup(store.clone()).dead_letters(Sink), "webhook.test");
    recorder.build(|| {
        let [new, old] = [(OTHER_SECRET, "new"), (SECRET, "old")];
        let secret = |(secret, label): (&str, &str)| Secret::new(secret).unwrap().labeled(label);
        endpoint.receiver.replace_secrets(circa_receiver::Secrets::new([secret(new), secret(old)]).unwrap());
    });
    let before = recorder.series().names();

    let other_body = Request::signed(circa_body("evt_1").replace("hello", "bye"));
    let stranger = format!("{}\n", "x".repeat(100));
    store.script("complete", Fault::Fail, 1);
    let deliveries = [
        (Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), NOW - 7), 200),
        (other_body, 200),
        (Request::circa("evt_slow"), 200),
        (typed("evt_2", "team.renamed"), 200),
        (typed("evt_3", "made.up"), 200),
        (Request::circa("evt_failing"), 500),
        (Request::circa("evt_unburied"), 500),
        (Request::circa("evt_never"), 200),
        (Request::circa(&stranger).replace("Circa-Signature", &stranger), 401),
        (Request::circa("evt_4").resigned(&CircaSigner::new(OTHER_SECRET), NOW - 1_000), 401),
    ];
    for (request, status) in deliveries {
        assert_eq!(endpoint.deliver(&request).await.status(), status, "{request:?}");
    }
    let series = recorder.series();
    series.assert(&[
        ("deliveries_total{endpoint=\"circa\",outcome=\"handled\",reason=\"none\"}", 4.0),
        ("deliveries_total{endpoint=\"circa\",outcome=\"duplicate\",reason=\"none\"}", 1.0),
        ("deliveries_total{endpoint=\"circa\",outcome=\"failed\",reason=\"none\"}", 2.0),
        ("deliveries_total{endpoint=\"circa\",outcome=\"dead-lettered\",reason=\"none\"}", 1.0),
        ("deliveries_total{endpoint=\"circa\",outcome=\"rejected\",reason=\"malformed_signature\"}", 1.0),
        ("deliveries_total{endpoint=\"circa\",outcome=\"rejected\",reason=\"timestamp_out_of_tolerance\"}", 1.0),
        ("consecutive_failures{endpoint=\"circa\"}", 2.0),
        ("changed_duplicates_total{endpoint=\"circa\"}", 1.0),
        ("dead_letter_failures_total{endpoint=\"circa\"}", 1.0),
        ("handler_duration_seconds{endpoint=\"circa\",type=\"webhook.test\"}", 2.0),
        ("secret_last_match_timestamp_seconds{endpoint=\"circa\",secret=\"new\"}", 0.0),
        ("secret_last_match_timestamp_seconds{endpoint=\"circa\",secret=\"old\"}", NOW as f64 + 2.0),
        ("in_progress{endpoint=\"circa\",stage=\"place\"}", 0.0),
        ("in_progress{endpoint=\"circa\",stage=\"handler\"}", 0.0),
        ("store_errors_total{endpoint=\"circa\",operation=\"complete\"}", 0.0),
    ]);
    assert!(series.0["circa_receiver_signature_skew_seconds{endpoint=\"circa\",direction=\"past\"}"] >= 7.0);
    assert!(series.0["circa_receiver_event_age_seconds{endpoint=\"circa\"}"] >= 2.0);
    assert_eq!(series.names(), before, "nothing that was sent has become a label");
}

/// Contract, section 7: what fails at the store is counted, and each call measured.
#[tokio::test(start_paused = true)]
async fn the_store_is_watched() {
    let recorder = Recorder::new();
    let store = ScriptedStore::memory();
    let endpoint = endpoint(&recorder, circa().dedup(store.clone()), "webhook.test");
    store.script("claim", Fault::Hang, 1);
    store.script("complete", Fault::Fail, usize::MAX);
    assert_eq!(endpoint.deliver(&Request::circa("evt_1")).await.status(), 200);
    let series = recorder.series();
    series.assert(&[
        ("store_errors_total{endpoint=\"circa\",operation=\"claim\"}", 1.0),
        ("store_errors_total{endpoint=\"circa\",operation=\"complete\"}", 1.0),
        ("store_call_duration_seconds{endpoint=\"circa\",operation=\"claim\"}", 2.0),
    ]);
    assert!(series.0["circa_receiver_store_call_duration_seconds{endpoint=\"circa\",operation=\"complete\"}"] > 0.7);
}

/// Contract, section 8a: what an inbox holds of all processes, and how the worker of this one
/// fares.
#[tokio::test(start_paused = true)]
async fn an_inbox_is_measured() {
    let (recorder, inbox) = (Recorder::new(), ScriptedInbox::new());
    let endpoint = endpoint(&recorder, circa().inbox(inbox.clone()), "webhook.test");
    let routes = Routes::new().on_type("datapoint.pulled", handle).fallback(handle);
    let worker = recorder.build(|| endpoint.receiver.worker(routes, ()).unwrap().build().unwrap());
    let (series, pulled) =
        (recorder.series(), "handler_duration_seconds{endpoint=\"circa\",type=\"datapoint.pulled\"}");
    series.assert(&[
        (pulled, 0.0),
        ("inbox_ready{endpoint=\"circa\"}", 0.0),
        ("inbox_dead{endpoint=\"circa\"}", 0.0),
        ("inbox_oldest_age_seconds{endpoint=\"circa\"}", 0.0),
        ("inbox_retries_total{endpoint=\"circa\"}", 0.0),
        ("inbox_worker_healthy{endpoint=\"circa\"}", 1.0),
    ]);
    let before = series.names();

    inbox.set_paused(&Pause::new("circa", Some("made.up")), true).await.unwrap();
    for request in [
        Request::circa("evt_later"),
        Request::circa("evt_never"),
        Request::circa("evt_endless"),
        typed("evt_paused", "made.up"),
    ] {
        assert_eq!(endpoint.deliver(&request).await.status(), 202);
    }
    let running = tokio::spawn(worker.run());
    tokio::time::sleep(seconds(16)).await;
    let series = recorder.series();
    series.assert(&[
        ("inbox_ready{endpoint=\"circa\"}", 1.0),
        ("inbox_waiting{endpoint=\"circa\"}", 1.0),
        ("inbox_running{endpoint=\"circa\"}", 1.0),
        ("inbox_dead{endpoint=\"circa\"}", 1.0),
        ("inbox_oldest_age_seconds{endpoint=\"circa\"}", 15.0),
        ("inbox_retries_total{endpoint=\"circa\"}", 1.0),
        ("inbox_given_back_total{endpoint=\"circa\"}", 0.0),
    ]);
    endpoint.receiver.shutdown().await;
    running.await.unwrap();
    let series = recorder.series();
    series.assert(&[("inbox_given_back_total{endpoint=\"circa\"}", 1.0)]);
    assert_eq!(series.names(), before, "nothing that was sent has become a label");
}

/// A snapshot sets everything back to 0: what it says has happened since the last.
#[tokio::test(start_paused = true)]
async fn a_worker_without_its_inbox_is_not_healthy() {
    let (recorder, inbox) = (Recorder::new(), ScriptedInbox::new());
    let endpoint = endpoint(&recorder, circa().inbox(inbox.clone()), "webhook.test");
    let routes = Routes::new().fallback(handle);
    let worker = recorder.build(|| endpoint.receiver.worker(routes, ()).unwrap().build().unwrap());
    let _running = tokio::spawn(worker.run());
    for (failures, healthy, errors) in [(usize::MAX, 0.0, 1.0), (0, 1.0, 0.0)] {
        inbox.script("lease", Fault::Fail, failures);
        tokio::time::sleep(seconds(6)).await;
        recorder.series().assert(&[
            ("inbox_worker_healthy{endpoint=\"circa\"}", healthy),
            ("store_errors_total{endpoint=\"circa\",operation=\"lease\"}", errors),
        ]);
    }
}

/// In paused time only a call that hangs takes any.
#[tokio::test(start_paused = true)]
async fn the_calls_of_an_inbox_are_measured() {
    let (recorder, inbox) = (Recorder::new(), ScriptedInbox::new());
    let endpoint = endpoint(&recorder, circa().inbox(inbox.clone()), "webhook.test");
    let worker = endpoint.receiver.worker(Routes::new().fallback(handle), ()).unwrap();
    let worker = recorder.build(|| worker.build().unwrap());
    for operation in ["accept", "lease", "settle"] {
        inbox.script(operation, Fault::Hang, 1);
    }
    let _running = tokio::spawn(worker.run());
    assert_eq!(endpoint.deliver(&Request::circa("evt_1")).await.status(), 202);
    tokio::time::sleep(seconds(10)).await;
    let series = recorder.series();
    for operation in ["accept", "lease", "settle"] {
        let name =
            format!("circa_receiver_store_call_duration_seconds{{endpoint=\"circa\",operation=\"{operation}\"}}");
        assert!(series.0[&name] >= 1.0, "{name} is {}", series.0[&name]);
    }
}

/// Contract, section 8b: metrics have no label for a tenant.
#[tokio::test(start_paused = true)]
async fn tenants_are_counted_with_their_endpoint() {
    let recorder = Recorder::new();
    let metrics = recorder.build(|| std::sync::Arc::new(MetricsObserver::new()));
    recorder.build(|| circa().observer(metrics.clone()).build().unwrap());
    let before = recorder.series().names();
    let event = testing::event::<WebhookTest>(circa_body("evt_1"));
    metrics.handled(&testing::delivery("circa/acme", event), seconds(3));
    let series = recorder.series();
    series.assert(&[("handler_duration_seconds{endpoint=\"circa\",type=\"other\"}", 3.0)]);
    assert_eq!(series.names(), before);
}

/// Twice the same endpoint: its metrics are shared.
#[tokio::test(start_paused = true)]
async fn one_observer_serves_several_receivers() {
    let recorder = Recorder::new();
    let metrics = recorder.build(|| std::sync::Arc::new(MetricsObserver::new()));
    let receivers = recorder.build(|| {
        let secret = || Secret::new(SECRET).unwrap();
        let [a, b] = ["a", "b"].map(|name| Receiver::circa(secret()).endpoint(name).observer(metrics.clone()));
        [a.build().unwrap(), b.build().unwrap()]
    });
    let head = ("GET", &[] as &[(&str, &[u8])]);
    let routes = routes(async |_| Ok(()));
    for receiver in [&receivers[0], &receivers[1], &receivers[1]] {
        assert_eq!(receiver.handle(&head, "", &routes, ()).await.status(), 405);
    }
    recorder.series().assert(&[
        ("deliveries_total{endpoint=\"a\",outcome=\"rejected\",reason=\"method_not_allowed\"}", 1.0),
        ("deliveries_total{endpoint=\"b\",outcome=\"rejected\",reason=\"method_not_allowed\"}", 2.0),
    ]);
}
