//! Every log line and every metric of a full run of everything that can become of a delivery.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use circa_receiver::{
    BoxError, DeadLetter, DeadLetterSink, DedupStore, Event, HandlerError, MetricsObserver, PortableHandler, Receiver,
    ReceiverBuilder, Routes, Secret, StoreFailure, TracingObserver,
    dedup::{ClaimAnswer, ClaimRequest, Key, Nonce, StoreError, Token},
    event::{DatapointPulled, DocumentSigned},
    testing::{CircaSigner, CircularoSigner, FakeClock},
};
use metrics_util::debugging::DebuggingRecorder;
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan};

use super::{MARKER, NOW, Printed, circa_body, circa_secret, circularo_body, circularo_secret, forbidden, forger};

/// Where all log lines go.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A store whose claims are all won, none of whose is kept, or that is out of order.
struct Store {
    works: bool,
}

impl Store {
    fn end<T>(&self, end: T) -> Result<T, StoreError> {
        if self.works { Ok(end) } else { Err(StoreError::Failed("connection refused".into())) }
    }
}

#[async_trait::async_trait]
impl DedupStore for Store {
    async fn claim(&self, _: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.end(ClaimAnswer::Won(Token::new(1)))
    }

    async fn renew(&self, _: &Key, _: Token, _: Duration) -> Result<bool, StoreError> {
        self.end(false)
    }

    async fn complete(&self, _: &Key, _: Token, _: Duration) -> Result<bool, StoreError> {
        self.end(false)
    }

    async fn release(&self, _: &Key, _: Token) -> Result<bool, StoreError> {
        self.end(false)
    }

    async fn withdraw(&self, _: &Key, _: Nonce) -> Result<bool, StoreError> {
        self.end(false)
    }

    async fn forget(&self, _: &Key) -> Result<bool, StoreError> {
        self.end(false)
    }
}

/// Buries what it is given, except where the event's id asks it not to; shows what it was given.
struct Sink;

#[async_trait::async_trait]
impl DeadLetterSink for Sink {
    async fn bury(&self, letter: DeadLetter<'_>) -> Result<(), BoxError> {
        tracing::warn!(shown = %format!("{letter:?} {letter:#?}"), "buried");
        if letter.event().id() == "evt_unburied" { Err("the disk is full".into()) } else { Ok(()) }
    }
}

async fn pulled(event: Event<DatapointPulled>, (): ()) -> Result<(), HandlerError> {
    tracing::info!(?event, "in the handler");
    match event.id() {
        "evt_failing" => Err("the database is down".into()),
        "evt_panicking" => panic!("out of order"),
        "evt_slow" => {
            tokio::time::sleep(Duration::from_secs(100)).await;
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn signed(event: Event<DocumentSigned>, (): ()) -> Result<(), HandlerError> {
    tracing::info!(?event, "in the handler");
    Ok(())
}

fn circa() -> ReceiverBuilder {
    let builder = Receiver::circa(Secret::new(circa_secret()).unwrap()).clock(FakeClock::at(NOW));
    let builder = builder.observer(TracingObserver).observer(MetricsObserver::new().clock(FakeClock::at(NOW)));
    builder.dead_letters(Sink)
}

/// Sends a delivery, signed at `at` by `signer`; what it sends may be another body than the one
/// that was signed.
struct Sending<'a> {
    receiver: &'a Receiver,
    routes: &'a Routes<PortableHandler<()>>,
}

impl Sending<'_> {
    async fn send(&self, header: &str, signature: &str, body: &str) -> u16 {
        let headers = [(header, signature), ("circa-webhook-id", "wh_1")];
        let response = self.receiver.handle(&("POST", &headers[..]), body.to_owned(), self.routes, ()).await;
        tracing::trace!(?response, "answered");
        response.status()
    }

    async fn signed(&self, body: &str) -> u16 {
        let signature = CircaSigner::new(circa_secret()).sign(NOW, body.as_bytes());
        self.send("circa-signature", &signature, body).await
    }
}

/// A full run of everything that can become of a delivery, with every line that is logged about it.
#[tokio::test(start_paused = true)]
async fn the_log_of_a_full_run() {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let recorder = DebuggingRecorder::new();
    let _recorder = metrics::set_default_local_recorder(&recorder);

    let pull = |id: &str| circa_body(id, "datapoint.pulled", &format!(r#"{{"materialIds":["{MARKER}"]}}"#));
    let wrong = |id: &str| circa_body(id, "datapoint.pulled", &format!(r#"{{"materialIds":"{MARKER}"}}"#));
    let body = pull("evt_1");
    let malformed = body.replace(r#""type":"datapoint.pulled""#, &format!(r#""type":["{MARKER}"]"#));
    let tampered = body.replace("livemode\":true", "livemode\":false");
    let ignored = circa_body("evt_ignored", "no.such.type", "{}");
    let document = circularo_body("documentSigned");
    let mut bodies = vec![body.clone(), malformed.clone(), tampered.clone(), ignored.clone(), document.clone()];

    let routes = Routes::new().on(pulled);
    let receiver = circa().retention(Duration::from_secs(60)).build().unwrap();
    let to = Sending { receiver: &receiver, routes: &routes };
    let right = |at| CircaSigner::new(circa_secret()).sign(at, body.as_bytes());
    assert_eq!(to.signed(&body).await, 200, "accepted");
    assert_eq!(to.send("circa-signature", &forger().sign(NOW, body.as_bytes()), &body).await, 401, "forged");
    assert_eq!(to.send("circa-signature", &right(NOW), &tampered).await, 401, "tampered");
    assert_eq!(to.send("circa-signature", &right(NOW - 1_000), &body).await, 401, "stale");
    assert_eq!(to.send("circa-signature", &right(NOW)[..79], &body).await, 401, "signature cut short");
    assert_eq!(to.send("x-signature", &right(NOW), &body).await, 401, "no signature");
    assert_eq!(to.signed(&malformed).await, 200, "malformed payload, to the dead letters");
    assert_eq!(to.signed(&tampered).await, 200, "the same id with another body");
    assert_eq!(to.signed(&ignored).await, 200, "ignored");
    let ends = [
        ("handler error", pull("evt_failing"), 500),
        ("panic", pull("evt_panicking"), 500),
        ("ack deadline passed", pull("evt_slow"), 503),
        ("dead letter", wrong("evt_wrong"), 200),
        ("sink failed", wrong("evt_unburied"), 500),
    ];
    for (name, body, status) in ends {
        assert_eq!(to.signed(&body).await, status, "{name}");
        bodies.push(body);
    }
    let stores = [
        ("claim lost", Store { works: true }, StoreFailure::Refuse, 200),
        ("store out of order", Store { works: false }, StoreFailure::Refuse, 503),
        ("store out of order, run without", Store { works: false }, StoreFailure::RunWithoutDedup, 200),
    ];
    for (name, store, policy, status) in stores {
        let receiver = circa().dedup(store).on_store_failure(policy).build().unwrap();
        assert_eq!(Sending { receiver: &receiver, routes: &routes }.signed(&body).await, status, "{name}");
    }
    let receiver = Receiver::circularo(Secret::new(circularo_secret()).unwrap());
    let receiver = receiver.observer(TracingObserver).observer(MetricsObserver::new());
    let (receiver, routes) = (receiver.build().unwrap(), Routes::new().on(signed));
    let signature = CircularoSigner::new(circularo_secret()).sign(document.as_bytes());
    let to = Sending { receiver: &receiver, routes: &routes };
    assert_eq!(to.send("x-circularo-signature", &signature, &document).await, 200, "Circularo");
    assert_eq!(to.send("x-circularo-signature", &signature, &body).await, 401, "Circularo, forged");

    // What is diagnosed is told on another thread, and not heard here: its words are literals.
    let metrics = recorder.snapshotter().snapshot().into_vec();
    assert!(metrics.len() > 80, "{} series", metrics.len());
    let log = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    let all = [
        "delivery received",
        "delivery refused",
        "signature_mismatch",
        "timestamp_out_of_tolerance",
        "missing_signature",
        "malformed_signature",
        "malformed_payload",
        "store_unavailable",
        "delivery authenticated",
        "event ignored",
        "duplicate event id with a different body",
        "event handled",
        "handler failed",
        "the database is down",
        "the handler panicked",
        "event dead-lettered",
        "dead-letter sink failed",
        "handler still running at the ack deadline",
        "store failed",
        "claim passed to another holder",
        "the dedup retention is shorter",
        "in the handler",
        "buried",
    ];
    for text in all {
        assert!(log.contains(text), "the run has missed {text:?}:\n{log}");
    }
    let mut printed = Printed::default();
    for (number, line) in log.lines().enumerate() {
        printed.0.push((format!("line {number}"), line.to_owned()));
    }
    printed.0.push(("the log".to_owned(), log));
    for (key, _, help, value) in metrics {
        let labels: Vec<_> = key.key().labels().map(|label| label.value().to_owned()).collect();
        assert!(
            labels.iter().all(|label| !label.contains("evt_") && label != "no.such.type"),
            "{labels:?} are not closed"
        );
        printed.0.push((key.key().name().to_owned(), format!("{labels:?} {help:?} {value:?}")));
    }
    printed.assert_free_of(&forbidden(&bodies));
}
