//! A stranger's actix app takes the receiver beside its own routes, state and middleware.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::{
    App, Error, HttpResponse,
    body::MessageBody,
    dev::{Service, ServiceResponse},
    http::StatusCode,
    middleware::{Compress, Logger},
    test::{self, TestRequest},
    web,
};
use async_trait::async_trait;
use circa_receiver::{
    DedupStore, MemoryStore,
    dedup::{ClaimAnswer, ClaimRequest, Key, Nonce, StoreError, Token},
    testing::{CircaSigner, fixtures},
};
use circa_receiver_actix::{
    AnyEvent, Event, RawDelivery, Receiver, ReceiverLayer, Secret,
    event::{DatapointPulled, WebhookTest},
    webhook,
};

const SECRET: &str = "whsec_test_0123456789abcdef";

type Log = Arc<Mutex<Vec<String>>>;

fn receiver() -> Receiver {
    Receiver::circa(Secret::new(SECRET).unwrap()).build().unwrap()
}

async fn pulled(log: web::Data<Log>, Event(event): Event<DatapointPulled>, body: web::Bytes) -> HttpResponse {
    assert_eq!(&body, event.body());
    // Held across an await: handlers need not be `Send`.
    let here = Rc::new(RefCell::new(event.id().to_owned()));
    actix_web::rt::task::yield_now().await;
    log.lock().unwrap().push(format!("pulled {}", here.borrow()));
    HttpResponse::Ok().finish()
}

async fn tested(Event(event): Event<WebhookTest>, log: web::Data<Log>) -> &'static str {
    log.lock().unwrap().push(format!("tested {}", event.data().message()));
    "thank you"
}

fn signed(body: &str) -> TestRequest {
    let signature = CircaSigner::new(SECRET).sign_now(body.as_bytes());
    TestRequest::post()
        .uri("/webhooks/circa")
        .insert_header(("circa-signature", signature))
        .insert_header(("accept-encoding", "gzip, br"))
        .set_payload(body.to_owned())
}

async fn send<B: MessageBody>(
    app: &impl Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    request: TestRequest,
) -> (StatusCode, Option<String>) {
    let response = test::call_service(app, request.to_request()).await;
    let outcome = response.headers().get("circa-receiver-outcome").map(|value| value.to_str().unwrap().to_owned());
    (response.status(), outcome)
}

fn handled() -> (StatusCode, Option<String>) {
    (StatusCode::OK, Some("handled".to_owned()))
}

#[actix_web::test]
async fn beside_other_routes_and_middleware() {
    let log = Log::default();
    let app = test::init_service(
        App::new()
            .app_data(web::Data::new(log.clone()))
            .app_data(web::PayloadConfig::new(100 * 1_024 * 1_024))
            .wrap(Compress::default())
            .wrap(Logger::default())
            .service(
                web::resource("/webhooks/circa")
                    .route(web::get().to(|| async { "their own GET" }))
                    .route(webhook(receiver()).on(pulled).on(tested).into_route()),
            )
            .service(web::scope("/api").route("/things", web::get().to(|| async { "things" }))),
    )
    .await;
    let events = fixtures();
    assert_eq!(send(&app, signed(events[0].body())).await, handled());
    assert_eq!(send(&app, signed(events[4].body())).await, handled());
    assert_eq!(send(&app, signed(events[0].body())).await.1.as_deref(), Some("duplicate"));
    let tested = "tested This is a test event triggered from the developer portal.";
    assert_eq!(*log.lock().unwrap(), ["pulled evt_8f3c5d9a-0b1c-4f5e-9d2a-6b7c8d9e0f10", tested]);

    let get = |uri: &str| TestRequest::get().uri(uri).to_request();
    assert_eq!(test::call_and_read_body(&app, get("/webhooks/circa")).await, "their own GET");
    assert_eq!(test::call_and_read_body(&app, get("/api/things")).await, "things");
    let response = test::call_service(&app, TestRequest::put().uri("/webhooks/circa").to_request()).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers().get("allow").unwrap(), "POST");
}

#[actix_web::test]
async fn a_smaller_body_limit_of_the_application_does_not_matter() {
    async fn raw(delivery: RawDelivery) -> HttpResponse {
        assert_eq!(delivery.body().len(), 300_000);
        HttpResponse::Ok().finish()
    }

    let app = test::init_service(
        App::new()
            .app_data(web::PayloadConfig::new(10))
            .service(web::resource("/webhooks/circa").route(webhook(receiver()).fallback(raw).into_route())),
    )
    .await;
    let envelope = r#"{"id":"evt_1","type":"datapoint.pulled","data":""}"#;
    let body = envelope.replace("\"\"", &format!("{:?}", "a".repeat(300_000 - envelope.len())));
    assert_eq!(send(&app, signed(&body)).await, handled());
}

#[actix_web::test]
async fn the_layer_completes_on_2xx_and_releases_on_anything_else() {
    async fn any(log: web::Data<Log>, event: AnyEvent) -> HttpResponse {
        let mut log = log.lock().unwrap();
        log.push(event.id().to_owned());
        if log.len() == 1 { HttpResponse::NotFound().finish() } else { HttpResponse::NoContent().finish() }
    }

    // In front of one resource, and in front of the whole application, where routing is still to
    // come.
    let body = fixtures()[0].body().to_owned();
    let answers = [(500, None), (200, Some("handled")), (200, Some("duplicate"))];

    let log = Log::default();
    let resource = web::resource("/webhooks/circa").wrap(ReceiverLayer::new(receiver())).route(web::post().to(any));
    let app = test::init_service(App::new().app_data(web::Data::new(log.clone())).service(resource)).await;
    for (status, outcome) in answers {
        let answer = send(&app, signed(&body)).await;
        assert_eq!((answer.0.as_u16(), answer.1.as_deref()), (status, outcome), "a resource");
    }
    assert_eq!(log.lock().unwrap().len(), 2);

    let log = Log::default();
    let resource = web::resource("/webhooks/{sender}").app_data(web::Data::new(1)).route(web::post().to(any));
    let app = App::new().app_data(web::Data::new(log.clone())).wrap(ReceiverLayer::new(receiver())).service(resource);
    let app = test::init_service(app).await;
    for (status, outcome) in answers {
        let answer = send(&app, signed(&body)).await;
        assert_eq!((answer.0.as_u16(), answer.1.as_deref()), (status, outcome), "the application");
    }
    assert_eq!(log.lock().unwrap().len(), 2);
}

#[actix_web::test]
async fn an_extractor_outside_a_receiver_names_the_fix() {
    let resource = web::resource("/webhooks/circa").route(web::post().to(|_: AnyEvent| async { "" }));
    let app = test::init_service(App::new().service(resource)).await;
    let response = test::call_service(&app, signed(fixtures()[0].body()).to_request()).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = test::read_body(response).await;
    assert!(std::str::from_utf8(&body).unwrap().contains("webhook(receiver).on(handler)"), "{body:?}");
}

#[test]
#[should_panic(expected = "two handlers are registered for the event type \"webhook.test\"")]
fn two_handlers_for_one_type_do_not_mount() {
    let _ = webhook(receiver()).on(tested).on_type("webhook.test", tested).into_route();
}

#[test]
#[should_panic(expected = "the event type \"documentCompleted\" is sent by circularo, and this receiver serves circa")]
fn a_type_of_the_other_sender_does_not_mount_by_its_name_either() {
    let _ = webhook(receiver()).on_type("documentCompleted", tested).into_route();
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
#[actix_web::test]
async fn a_claim_slower_than_the_ack_deadline_still_ends_in_the_handler() {
    tokio::time::pause();
    let log = Log::default();
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).dedup(SlowStore(MemoryStore::default()));
    let receiver = receiver.ack_deadline(Duration::from_millis(100)).build().unwrap();
    let resource = web::resource("/webhooks/circa").route(webhook(receiver.clone()).on(pulled).into_route());
    let app = test::init_service(App::new().app_data(web::Data::new(log.clone())).service(resource)).await;
    for runs in [1, 1] {
        let answer = send(&app, signed(fixtures()[0].body())).await;
        assert_eq!((answer.0.as_u16(), answer.1.as_deref()), (503, None));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(log.lock().unwrap().len(), runs);
    }

    // And so behind the middleware, which then answers without the request.
    let resource = web::resource("/webhooks/circa").wrap(ReceiverLayer::new(receiver)).route(web::post().to(pulled));
    let app = test::init_service(App::new().app_data(web::Data::new(log.clone())).service(resource)).await;
    let other = fixtures()[0].with_id("evt_2");
    let error = app.call(signed(other.body()).to_request()).await.unwrap_err();
    assert_eq!(error.error_response().status(), StatusCode::SERVICE_UNAVAILABLE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(log.lock().unwrap().len(), 2);
}
