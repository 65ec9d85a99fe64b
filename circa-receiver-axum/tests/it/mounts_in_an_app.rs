//! A stranger's axum app takes the receiver beside its own routes, state and middleware.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use bytes::Bytes;
use circa_receiver::{
    DedupStore, MemoryStore,
    dedup::{ClaimAnswer, ClaimRequest, Key, Nonce, StoreError, Token},
    testing::{CircaSigner, SignedRequest, fixtures},
};
use circa_receiver_axum::{
    AnyEvent, Event, Receiver, ReceiverLayer, Secret,
    event::{DatapointPulled, WebhookTest},
    webhook,
};
use tower::ServiceExt;
use tower_http::trace::TraceLayer;

const SECRET: &str = "whsec_test_0123456789abcdef";

type Log = Arc<Mutex<Vec<String>>>;

fn receiver() -> Receiver {
    Receiver::circa(Secret::new(SECRET).unwrap()).build().unwrap()
}

async fn pulled(State(log): State<Log>, Event(event): Event<DatapointPulled>, body: Bytes) {
    assert_eq!(&body, event.body());
    log.lock().unwrap().push(format!("pulled {}", event.id()));
}

async fn tested(Event(event): Event<WebhookTest>, State(log): State<Log>) -> StatusCode {
    log.lock().unwrap().push(format!("tested {}", event.data().message()));
    StatusCode::NO_CONTENT
}

fn app(log: &Log) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/webhooks/circa", webhook(receiver()).on(pulled).on(tested).with_state(log.clone()))
        .route("/webhooks/circa", get(|State(name): State<&'static str>| async move { name }))
        .nest("/api", Router::new().route("/things", get(|| async { "things" })))
        .layer(TraceLayer::new_for_http())
        .layer(DefaultBodyLimit::max(100 * 1_024 * 1_024))
        .with_state("their own GET")
}

async fn send(app: &Router, request: Request<Body>) -> (StatusCode, Option<String>, String) {
    let response: Response = app.clone().oneshot(request).await.unwrap();
    let outcome = response.headers().get("circa-receiver-outcome").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, outcome, String::from_utf8(body.to_vec()).unwrap())
}

fn signed(body: &str) -> Request<Body> {
    SignedRequest::circa(&CircaSigner::new(SECRET), body).uri("/webhooks/circa").build()
}

#[tokio::test]
async fn beside_other_routes_and_middleware() {
    let log = Log::default();
    let app = app(&log);
    let events = fixtures();
    let handled = (StatusCode::OK, Some("handled".to_owned()), "handled".to_owned());
    assert_eq!(send(&app, signed(events[0].body())).await, handled);
    assert_eq!(send(&app, signed(events[4].body())).await, handled);
    let duplicate = (StatusCode::OK, Some("duplicate".to_owned()), "duplicate".to_owned());
    assert_eq!(send(&app, signed(events[0].body())).await, duplicate);
    let tested = "tested This is a test event triggered from the developer portal.";
    assert_eq!(*log.lock().unwrap(), ["pulled evt_8f3c5d9a-0b1c-4f5e-9d2a-6b7c8d9e0f10", tested]);

    let get = |uri: &str| Request::get(uri).body(Body::empty()).unwrap();
    assert_eq!(send(&app, get("/webhooks/circa")).await.2, "their own GET");
    assert_eq!(send(&app, get("/healthz")).await.2, "ok");
    assert_eq!(send(&app, get("/api/things")).await.2, "things");
    let put = Request::put("/webhooks/circa").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(put).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "POST");
}

#[tokio::test]
async fn a_smaller_body_limit_of_the_application_does_not_matter() {
    let log = Log::default();
    let route = webhook(receiver()).on(pulled).with_state(log.clone());
    let app = Router::new().route("/webhooks/circa", route).layer(DefaultBodyLimit::max(10));
    assert_eq!(send(&app, signed(fixtures()[0].body())).await.1.as_deref(), Some("handled"));
    assert_eq!(log.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn forged_and_tampered_deliveries_run_nothing() {
    let log = Log::default();
    let app = app(&log);
    let body = fixtures()[0].body().to_owned();
    let unauthorized = (StatusCode::UNAUTHORIZED, None, "unauthorized".to_owned());
    let forged = SignedRequest::circa(&CircaSigner::new("whsec_wrong_0123456789"), body.clone());
    assert_eq!(send(&app, forged.uri("/webhooks/circa").build()).await, unauthorized);
    let tampered =
        SignedRequest::circa(&CircaSigner::new(SECRET), body.clone()).tampered(body.replace("u_a13c", "u_evil"));
    assert_eq!(send(&app, tampered.uri("/webhooks/circa").build()).await, unauthorized);
    let stale = SignedRequest::circa(&CircaSigner::new(SECRET), body).signed_at(1_000_000_000);
    assert_eq!(send(&app, stale.uri("/webhooks/circa").build()).await, unauthorized);
    assert!(log.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_layer_completes_on_2xx_and_releases_on_anything_else() {
    async fn any(State(log): State<Log>, event: AnyEvent) -> StatusCode {
        let mut log = log.lock().unwrap();
        log.push(event.id().to_owned());
        if log.len() == 1 { StatusCode::NOT_FOUND } else { StatusCode::NO_CONTENT }
    }

    let log = Log::default();
    let app = Router::new()
        .route("/webhooks/circa", post(any))
        .layer(ReceiverLayer::new(receiver()))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(log.clone());
    let body = fixtures()[0].body().to_owned();
    let answers = [(500, None), (200, Some("handled")), (200, Some("duplicate"))];
    for (status, outcome) in answers {
        let answer = send(&app, signed(&body)).await;
        assert_eq!((answer.0.as_u16(), answer.1.as_deref()), (status, outcome));
    }
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn an_extractor_outside_a_receiver_names_the_fix() {
    let app = Router::new().route("/webhooks/circa", post(|_: AnyEvent| async {}));
    let (status, _, body) = send(&app, signed(fixtures()[0].body())).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.contains("webhook(receiver).on(handler)"), "{body}");
}

#[test]
#[should_panic(expected = "two handlers are registered for the event type \"webhook.test\"")]
fn two_handlers_for_one_type_do_not_mount() {
    let _ = webhook::<Log>(receiver()).on(tested).on_type("webhook.test", tested).into_route();
}

#[test]
#[should_panic(expected = "the event type \"documentCompleted\" is sent by circularo, and this receiver serves circa")]
fn a_type_of_the_other_sender_does_not_mount_by_its_name_either() {
    let _ = webhook::<Log>(receiver()).on_type("documentCompleted", tested).into_route();
}

/// A store whose claims take longer than the ack deadline.
struct SlowStore(MemoryStore);

#[async_trait]
impl DedupStore for SlowStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.0.claim(request).await
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        self.0.renew(key, token, lease).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        self.0.complete(key, token, retention).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.0.release(key, token).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        self.0.withdraw(key, nonce).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.0.forget(key).await
    }
}

/// The handler runs though the sender was answered before the event was claimed; the sender's next
/// attempt is a duplicate.
#[tokio::test(start_paused = true)]
async fn a_claim_slower_than_the_ack_deadline_still_ends_in_the_handler() {
    let log = Log::default();
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).dedup(SlowStore(MemoryStore::default()));
    let receiver = receiver.ack_deadline(Duration::from_millis(100)).build().unwrap();
    let route = webhook(receiver).on(pulled).with_state(log.clone());
    let app = Router::new().route("/webhooks/circa", route);
    for runs in [1, 1] {
        let answer = send(&app, signed(fixtures()[0].body())).await;
        assert_eq!((answer.0.as_u16(), answer.1.as_deref()), (503, None));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(log.lock().unwrap().len(), runs);
    }
}
