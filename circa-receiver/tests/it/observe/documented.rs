//! `docs/observing.md` and `docs/troubleshooting.md` say what the code does: each log line with its
//! level and fields, each span, each metric, and a place to look at for every way in which a
//! delivery can end.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use circa_receiver::testing::{CircaSigner, MemoryInbox, unix_time};
use circa_receiver::{
    AnyEvent, ConfigWarning, Delivery, Diagnosis, HandlerError, Observer, Outcome, PayloadFault, Rejection, Secret,
    StoreOperation, TracingObserver, Verifier, dedup::StoreError,
};
use tracing::{Event, Subscriber, field::Visit};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

use crate::support::receiving::{Endpoint, Gate, NOW, Request, SECRET, circa, circa_body};

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The rows of the table in a section, without its head.
fn table(page: &str, section: &str) -> BTreeSet<String> {
    let heading = format!("\n## {section}\n");
    let (_, text) = page.split_once(&heading).unwrap_or_else(|| panic!("there is no section {section}"));
    let text = text.split("\n## ").next().unwrap();
    text.lines().filter(|line| line.starts_with('|')).skip(2).map(str::to_owned).collect()
}

#[track_caller]
fn assert_same(documented: &BTreeSet<String>, found: &BTreeSet<String>) {
    let undocumented: Vec<_> = found.difference(documented).map(String::as_str).collect();
    let untrue: Vec<_> = documented.difference(found).map(String::as_str).collect();
    assert!(
        undocumented.is_empty() && untrue.is_empty(),
        "missing:\n{}\nuntrue:\n{}",
        undocumented.join("\n"),
        untrue.join("\n")
    );
}

/// The rows that the table of log lines, or of spans, is to have.
#[derive(Clone, Default)]
struct Rows(Arc<Mutex<BTreeSet<String>>>);

impl Rows {
    fn add(&self, metadata: &tracing::Metadata<'_>, name: &str) {
        let fields = metadata.fields().iter().map(|field| field.name()).filter(|name| *name != "message");
        let fields: Vec<String> = fields.map(|field| format!("`{field}`")).collect();
        self.0.lock().unwrap().insert(format!("| {} | `{name}` | {} |", metadata.level(), fields.join(", ")));
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}").replace('`', "'");
        }
    }
}

struct Lines(Rows);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.0.add(event.metadata(), &message.0);
    }
}

struct Spans(Rows);

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, span: &tracing::span::Attributes<'_>, _: &tracing::Id, _: Context<'_, S>) {
        self.0.add(span.metadata(), span.metadata().name());
    }
}

fn event() -> AnyEvent {
    let body = circa_body("evt_1");
    let signature = CircaSigner::new(SECRET).sign(NOW, body.as_bytes());
    let verifier = Verifier::circa(Secret::new(SECRET).unwrap());
    let headers = [("circa-signature", signature.as_bytes())];
    verifier.verify(headers, body.clone(), unix_time(NOW)).unwrap().event().unwrap()
}

/// Everything that can be told.
fn tell(observer: &dyn Observer) {
    let delivery = Delivery::new("circa", event());
    let (fault, second) = (PayloadFault::ALL[0], Duration::from_secs(1));
    let error = || HandlerError::retryable("down");
    observer.received("circa");
    for rejection in Rejection::ALL {
        observer.rejected("circa", rejection);
    }
    observer.secrets_not_read("circa", &"down".into());
    observer.diagnosed("circa", Diagnosis::NoTime);
    observer.diagnosed("circa", Diagnosis::Unexplained);
    observer.authenticated(&delivery);
    observer.unreadable(&delivery, fault);
    observer.ignored(&delivery);
    observer.unhandled(&delivery);
    observer.field_drifted(&delivery, "created");
    observer.duplicate(&delivery, true);
    observer.duplicate(&delivery, false);
    observer.waited_in_vain(&delivery, Outcome::Failed, true);
    observer.handled(&delivery, second);
    observer.failed(&delivery, &error(), second);
    observer.dead_lettered(&delivery, &error());
    observer.dead_letter_failed(&delivery, &"full".into());
    observer.unfinished(&delivery);
    observer.store_error(&delivery, StoreOperation::Claim, &StoreError::Timeout);
    observer.claim_lost(&delivery);
    observer.accepted(&delivery);
    observer.retried(&delivery, second);
    observer.given_back("circa");
    observer.inbox_unavailable("worker", &StoreError::Timeout);
    observer.inbox_available("worker");
    observer.observer_panicked("circa");
    observer.config_warning("circa", ConfigWarning::RetentionBelowRetrySpan);
}

#[test]
fn every_observer_method() {
    let source = |name| std::fs::read_to_string(format!("{}/src/observe/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (code, table) = (source("observer.rs"), source("observer.md"));
    let of_the_trait = code.split("impl<O: Observer").next().unwrap();
    let methods = of_the_trait.lines().filter_map(|line| line.trim_start().strip_prefix("fn ")?.split('(').next());
    let methods: Vec<&str> = methods.collect();
    assert!(methods.len() > 20, "{methods:?}");
    for method in methods {
        assert!(table.contains(&format!("`{method}`")), "{method} is not in the table");
        assert!(code.contains(&format!("(**self).{method}(")), "an `Arc` does not pass on {method}");
    }
}

#[test]
fn every_log_line() {
    let rows = Rows::default();
    let subscriber = tracing_subscriber::registry().with(Lines(rows.clone()));
    tracing::subscriber::with_default(subscriber, || tell(&TracingObserver));
    assert_same(&table(&page("observing.md"), "Log lines"), &rows.0.lock().unwrap());
}

#[tokio::test]
async fn every_span() {
    let rows = Rows::default();
    let subscriber = tracing_subscriber::registry().with(Spans(rows.clone()));
    let _guard = tracing::subscriber::set_default(subscriber);
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    assert_eq!(endpoint.deliver(&Request::circa("evt_1")).await.status(), 200);
    let with_inbox = Endpoint::new(circa().inbox(MemoryInbox::default()), Gate::open().routes());
    assert_eq!(with_inbox.deliver(&Request::circa("evt_2")).await.status(), 202);
    let worker = with_inbox.receiver.worker(Gate::open().routes(), ()).unwrap().build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 1);
    assert_same(&table(&page("observing.md"), "Spans"), &rows.0.lock().unwrap());
}

#[cfg(feature = "metrics")]
#[test]
fn every_metric() {
    use circa_receiver::{MetricsObserver, Receiver};
    use metrics_util::{MetricKind, debugging::DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    metrics::with_local_recorder(&recorder, || {
        let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).observer(MetricsObserver::new());
        let receiver = receiver.inbox(MemoryInbox::default()).build().unwrap();
        receiver.worker(Gate::open().routes(), ()).unwrap().build().unwrap();
    });
    let found = recorder.snapshotter().snapshot().into_vec().into_iter().map(|(key, _, help, _)| {
        let labels: Vec<String> = key.key().labels().map(|label| format!("`{}`", label.key())).collect();
        let kind = match key.kind() {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        format!("| `{}` | {kind} | {} | {} |", key.key().name(), labels.join(", "), help.unwrap())
    });
    assert_same(&table(&page("observing.md"), "Metrics"), &found.collect());
}

/// Every way in which a delivery can end, every cause of a diagnosis: named on the page, with its
/// metric and its log line.
#[test]
fn every_end_of_a_delivery_is_in_the_troubleshooting() {
    let page = page("troubleshooting.md");
    for rejection in Rejection::ALL {
        let reason = rejection.reason();
        let row = page.lines().find(|line| line.starts_with(&format!("| `{reason}` |")));
        let row = row.unwrap_or_else(|| panic!("{reason} has no row"));
        let metric = format!("`outcome=\"rejected\",reason=\"{reason}\"`");
        let log = if matches!(rejection, Rejection::MalformedPayload(_)) {
            "`authentic delivery refused`"
        } else {
            "`delivery refused`"
        };
        assert!(row.contains(&metric) && row.contains(log), "{reason}: its metric {metric} and its line {log}: {row}");
    }
    for outcome in Outcome::UNREFUSED {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{outcome}` |")));
        let metric = format!("`outcome=\"{outcome}\"`");
        assert!(row.is_some_and(|row| row.contains(&metric)), "{outcome} has no row with {metric}");
    }
}
