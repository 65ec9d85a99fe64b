//! Ordinary axum handlers run from the inbox, with a request made from what was stored.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use circa_receiver::{
    dedup::Key,
    testing::{CircaSigner, MemoryInbox, SignedRequest, TokioClock, fixtures},
};
use circa_receiver_axum::{
    Completion, Event, RawDelivery, Receiver, ReceiverLayer, Secret,
    event::{DatapointPulled, WebhookTest},
    webhook,
};
use tower::ServiceExt;

const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;

type Log = Arc<Mutex<Vec<String>>>;

fn inbox() -> Arc<MemoryInbox> {
    Arc::new(MemoryInbox::with_clock(TokioClock::starting_at(NOW)))
}

fn receiver(inbox: &Arc<MemoryInbox>) -> Receiver {
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).clock(TokioClock::starting_at(NOW));
    receiver.inbox(Arc::clone(inbox)).build().unwrap()
}

async fn send(app: &Router, body: &[u8]) -> (u16, String) {
    let request = SignedRequest::circa(&CircaSigner::new(SECRET), body).signed_at(NOW).uri("/webhooks/circa");
    let request: Request<Body> = request.header("user-agent", "Circa/1.0").header("x-not-stored", "1").build();
    let response: Response = app.clone().oneshot(request).await.unwrap();
    let outcome = response.headers().get("circa-receiver-outcome").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), outcome.unwrap_or_default())
}

async fn pulled(
    State(log): State<Log>,
    uri: Uri,
    headers: HeaderMap,
    Event(event): Event<DatapointPulled>,
    RawDelivery(delivery): RawDelivery,
    body: Bytes,
) {
    assert_eq!((&body, delivery.endpoint()), (event.body(), "circa"));
    let agent = headers["user-agent"].to_str().unwrap();
    assert!(!headers.contains_key("x-not-stored") && !headers.contains_key("circa-signature"));
    log.lock().unwrap().push(format!("{} at {uri} by {agent}", event.id()));
}

/// Fails the first time.
async fn tested(State(log): State<Log>, Event(_): Event<WebhookTest>) -> (StatusCode, &'static str) {
    let mut log = log.lock().unwrap();
    log.push("tested".to_owned());
    if log.len() == 1 { (StatusCode::BAD_GATEWAY, "away") } else { (StatusCode::OK, "") }
}

fn fixture(event_type: &str) -> Vec<u8> {
    let fixture = fixtures().into_iter().find(|fixture| fixture.event_type() == event_type).unwrap();
    fixture.body().as_bytes().to_vec()
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_handler_runs_with_what_was_stored() {
    let (inbox, log) = (inbox(), Log::default());
    let receiver = receiver(&inbox);
    let (route, worker) = webhook(receiver.clone()).on(pulled).with_worker(Arc::clone(&log));
    let app: Router = Router::new().route("/webhooks/circa", route).layer(DefaultBodyLimit::max(10));
    let running = tokio::spawn(worker.build().unwrap().run());
    let body = fixture("datapoint.pulled");
    assert_eq!(send(&app, &body).await, (202, "accepted".to_owned()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(send(&app, &body).await, (200, "duplicate".to_owned()));
    let lines = std::mem::take(&mut *log.lock().unwrap());
    assert!(lines.len() == 1 && lines[0].ends_with(" at /webhooks/circa by Circa/1.0"), "{lines:?}");
    receiver.shutdown().await;
    running.await.unwrap();
}

/// The status of its response decides, as without an inbox.
#[tokio::test(start_paused = true)]
async fn a_handler_that_answers_an_error_is_run_again() {
    let (inbox, log) = (inbox(), Log::default());
    let (route, worker) = webhook(receiver(&inbox)).on(tested).with_worker(Arc::clone(&log));
    let app: Router = Router::new().route("/webhooks/circa", route);
    tokio::spawn(worker.build().unwrap().run());
    assert_eq!(send(&app, &fixture("webhook.test")).await.0, 202);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(*log.lock().unwrap(), ["tested", "tested"]);
    assert_eq!(inbox.dead(), []);
}

/// Its `Retry-After` is heeded.
#[tokio::test(start_paused = true)]
async fn a_handler_that_says_when_is_run_then() {
    async fn busy(State(log): State<Log>, Event(_): Event<WebhookTest>) -> Response {
        log.lock().unwrap().push("busy".to_owned());
        let response = Response::builder().status(StatusCode::TOO_MANY_REQUESTS).header("retry-after", "100");
        response.body(Body::empty()).unwrap()
    }

    let (inbox, log) = (inbox(), Log::default());
    let (route, worker) = webhook(receiver(&inbox)).on(busy).with_worker(Arc::clone(&log));
    let app: Router = Router::new().route("/webhooks/circa", route);
    tokio::spawn(worker.build().unwrap().run());
    assert_eq!(send(&app, &fixture("webhook.test")).await.0, 202);
    for (seconds, runs) in [(99, 1), (2, 2), (120, 3)] {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        assert_eq!(log.lock().unwrap().len(), runs, "{seconds} s later");
    }
}

/// What completes a run is there where an inbox runs it, and nowhere else.
#[tokio::test(start_paused = true)]
async fn a_handler_takes_the_completion_of_its_run() {
    async fn completing(State(log): State<Log>, Event(event): Event<WebhookTest>, completion: Completion) {
        assert_eq!(completion.key(), &Key::new("circa", event.id()));
        log.lock().unwrap().push("run".to_owned());
    }

    let (inbox, log) = (inbox(), Log::default());
    let (route, worker) = webhook(receiver(&inbox)).on(completing).with_worker(Arc::clone(&log));
    let app: Router = Router::new().route("/webhooks/circa", route);
    assert_eq!(send(&app, &fixture("webhook.test")).await.0, 202);
    assert_eq!(worker.build().unwrap().drain().await.unwrap(), 1);
    assert_eq!(*log.lock().unwrap(), ["run"]);

    let without = Receiver::circa(Secret::new(SECRET).unwrap()).clock(TokioClock::starting_at(NOW)).build().unwrap();
    let route = webhook(without).on(completing).with_state(Arc::clone(&log));
    let app: Router = Router::new().route("/webhooks/circa", route);
    assert_eq!(send(&app, &fixture("webhook.test")).await.0, 500);
    assert_eq!(*log.lock().unwrap(), ["run"]);
}

#[tokio::test]
#[should_panic(expected = "has no inbox")]
async fn a_worker_needs_an_inbox() {
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).build().unwrap();
    let _: (axum::routing::MethodRouter, _) = webhook(receiver).on(tested).with_worker(Log::default());
}

#[tokio::test]
#[should_panic(expected = "runs its events later")]
async fn middleware_needs_a_receiver_without_one() {
    ReceiverLayer::new(receiver(&inbox()));
}
