//! What a handler's `Failure` does to its event, through a route and through the layer.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
    routing::post,
};
use circa_receiver::{
    BoxError, DeadLetter, DeadLetterSink, Delivery, HandlerError, Observer, async_trait,
    testing::{CircaSigner, fixtures},
};
use circa_receiver_axum::{AnyEvent, Event, Failure, Receiver, ReceiverLayer, Secret, event::WebhookTest, webhook};
use tower::ServiceExt;

const PATH: &str = "/webhooks/circa";
const SECRET: &str = "whsec_test_0123456789abcdef";
const REASON: &str = "no material of this name";

/// What observers and dead letters were told, a line each.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, what: &str, error: &HandlerError) {
        self.0.lock().unwrap().push(format!("{what}: {error}, {:?}", error.delay()));
    }
}

impl Observer for Notes {
    fn failed(&self, _: &Delivery, error: &HandlerError, _: Duration) {
        self.note("failed", error);
    }

    fn dead_lettered(&self, _: &Delivery, error: &HandlerError) {
        self.note("dead-lettered", error);
    }
}

#[async_trait]
impl DeadLetterSink for Notes {
    async fn bury(&self, letter: DeadLetter<'_>) -> Result<(), BoxError> {
        self.note("letter", letter.error());
        Ok(())
    }
}

async fn retryable(_: AnyEvent) -> Result<(), Failure> {
    Err(Failure::retryable(REASON))
}

async fn permanent(_: AnyEvent) -> Result<(), Failure> {
    Err(Failure::permanent(REASON))
}

async fn retry_after(_: AnyEvent) -> Result<(), Failure> {
    Err(Failure::retry_after(Duration::from_secs(60), REASON))
}

async fn any_error(_: AnyEvent) -> Result<(), Failure> {
    Err(std::io::Error::other(REASON))?
}

async fn portable_error(_: AnyEvent) -> Result<(), Failure> {
    Err(Failure(HandlerError::permanent(REASON)))
}

fn receiver(notes: &Notes) -> Receiver {
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap());
    receiver.observer(notes.clone()).dead_letters(notes.clone()).build().unwrap()
}

/// The status and all that the sender sees.
async fn send(app: Router) -> (u16, String) {
    let body = fixtures()[0].body().to_owned();
    let signature = CircaSigner::new(SECRET).sign_now(body.as_bytes());
    let request = Request::post(PATH).header("circa-signature", signature).body(Body::from(body)).unwrap();
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), format!("{:?} {}", parts.headers, String::from_utf8(body.to_vec()).unwrap()))
}

/// Contract, section 8: "Why a handler failed is never thrown away: the error of a framework
/// handler reaches observers and dead letters as that of a portable one does; never the sender."
#[tokio::test]
async fn a_failure_says_whether_the_event_may_be_sent_again() {
    let buried = [format!("letter: {REASON}, None"), format!("dead-lettered: {REASON}, None")];
    let failed = [format!("failed: {REASON}, None")];
    let delayed = [format!("failed: {REASON}, Some(60s)")];
    macro_rules! mounts {
        ($handler:expr) => {
            [
                ("route", (|receiver| webhook(receiver).fallback($handler).into_route()) as fn(Receiver) -> _),
                ("layer", |receiver| post($handler).layer(ReceiverLayer::new(receiver))),
            ]
        };
    }
    let cases = [
        ("retryable", mounts!(retryable), 500, &failed[..]),
        ("permanent", mounts!(permanent), 200, &buried),
        ("after a delay", mounts!(retry_after), 500, &delayed),
        ("any error by `?`", mounts!(any_error), 500, &failed),
        ("a portable handler's error", mounts!(portable_error), 200, &buried),
    ];
    for (name, mounts, status, told) in cases {
        for (mount, route) in mounts {
            let notes = Notes::default();
            let answer = send(Router::new().route(PATH, route(receiver(&notes)))).await;
            assert_eq!(answer.0, status, "{name}, {mount}");
            assert!(!answer.1.contains(REASON), "{name}, {mount}: {}", answer.1);
            assert_eq!(*notes.0.lock().unwrap(), told, "{name}, {mount}");
        }
    }
}

/// Contract, section 8: where the typed decode of a known type fails, the error is permanent; what
/// our own extractors say is not thrown away.
#[tokio::test]
async fn data_of_another_form_is_a_dead_letter_with_its_reason() {
    async fn of_another_type(_: Event<WebhookTest>) -> StatusCode {
        StatusCode::NO_CONTENT
    }
    let notes = Notes::default();
    let layer = ReceiverLayer::new(receiver(&notes));
    let route = post(of_another_type).layer(layer);
    let (status, _) = send(Router::new().route(PATH, route)).await;
    assert_eq!(status, 200);
    let told = notes.0.lock().unwrap();
    assert!(told[0].starts_with("letter: ") && told[0].contains("webhook.test"), "{told:?}");
}

/// What any other service behind the layer says is kept, and may be a matter of time.
#[tokio::test]
async fn the_reason_of_a_service_is_kept() {
    async fn missing(_: AnyEvent) -> (StatusCode, &'static str) {
        (StatusCode::NOT_FOUND, REASON)
    }
    let notes = Notes::default();
    let route = post(missing).layer(ReceiverLayer::new(receiver(&notes)));
    let (status, _) = send(Router::new().route(PATH, route)).await;
    assert_eq!(status, 500);
    assert_eq!(*notes.0.lock().unwrap(), [format!("failed: the service answered 404: {REASON}, None")]);
}

/// Contract, section 8: a failure's text is kept "up to 1 KiB".
#[tokio::test]
async fn a_long_reason_is_cut() {
    async fn missing(_: AnyEvent) -> (StatusCode, String) {
        (StatusCode::NOT_FOUND, REASON.repeat(10_000))
    }
    let notes = Notes::default();
    let route = post(missing).layer(ReceiverLayer::new(receiver(&notes)));
    let (status, _) = send(Router::new().route(PATH, route)).await;
    assert_eq!(status, 500);
    let told = notes.0.lock().unwrap();
    assert_eq!(told[0].matches(REASON).count(), 1_024 / REASON.len(), "{told:?}");
}

/// On a route without a receiver nothing of the reason is shown either.
#[tokio::test]
async fn outside_a_receiver_a_failure_is_a_bare_status() {
    async fn fail() -> Result<(), Failure> {
        Err(Failure::permanent(REASON))
    }
    let answer = send(Router::new().route(PATH, post(fail))).await;
    assert_eq!(answer, (422, r#"{"content-length": "0"} "#.to_owned()));
}
