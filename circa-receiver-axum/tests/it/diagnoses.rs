//! Every fault between a sender and the receiver is named: by an app that has just that fault.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::Response,
    routing::{get, post},
};
use circa_receiver::{
    Receiver, Secret,
    testing::{CircaSigner, CircularoSigner, MountFault, check_mounted},
};
use circa_receiver_axum::{
    AnyEvent, Webhook,
    testing::{assert_mounted, target},
    webhook,
};
use tower_http::{decompression::RequestDecompressionLayer, limit::RequestBodyLimitLayer};

const PATH: &str = "/webhooks/circa";
const SECRET: &str = "whsec_test_0123456789abcdef";

/// No probe reaches a handler.
async fn never(_: AnyEvent) {
    panic!("a probe has run a handler");
}

fn mounted(secret: &str) -> Webhook {
    webhook(Receiver::circa(Secret::new(secret).unwrap()).build().unwrap()).fallback(never)
}

fn app() -> Router {
    Router::new().route(PATH, mounted(SECRET).into_route())
}

async fn diagnose(app: Router) -> Result<(), MountFault> {
    check_mounted(target(app), PATH, &CircaSigner::new(SECRET)).await
}

async fn body_of(request: Request) -> (axum::http::request::Parts, Vec<u8>) {
    let (parts, body) = request.into_parts();
    (parts, to_bytes(body, usize::MAX).await.unwrap().to_vec())
}

async fn reads(request: Request, next: Next) -> Response {
    let (mut parts, _) = body_of(request).await;
    parts.headers.remove("content-length");
    next.run(Request::from_parts(parts, Body::empty())).await
}

async fn reserialises(request: Request, next: Next) -> Response {
    let (mut parts, body) = body_of(request).await;
    parts.headers.remove("content-length");
    let body = serde_json::from_slice::<serde_json::Value>(&body).map_or(body, |json| json.to_string().into_bytes());
    next.run(Request::from_parts(parts, Body::from(body))).await
}

async fn truncates(request: Request, next: Next) -> Response {
    let (mut parts, mut body) = body_of(request).await;
    parts.headers.remove("content-length");
    body.truncate(64 * 1_024);
    next.run(Request::from_parts(parts, Body::from(body))).await
}

async fn answers_itself(_: Request, _: Next) -> StatusCode {
    StatusCode::FORBIDDEN
}

async fn never_answers(_: Request, _: Next) -> StatusCode {
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn every_fault_is_named() {
    let elsewhere = Router::new().route("/elsewhere", mounted(SECRET).into_route());
    let only_get = Router::new().route(PATH, get(|| async {}));
    let outside = Router::new().route(PATH, post(never));
    let unverified = Router::new().route(PATH, post(|| async {}));
    let other_secret = Router::new().route(PATH, mounted("whsec_another_0123456789abcdef").into_route());
    let cases = [
        ("as it should be", app(), Ok(())),
        ("not routed", elsewhere, Err(MountFault::NotRouted(PATH.to_owned()))),
        ("another method", only_get, Err(MountFault::WrongMethod(PATH.to_owned()))),
        ("an extractor outside", outside, Err(MountFault::ExtractorOutsideReceiver)),
        ("no receiver", unverified, Err(MountFault::NotVerified(200))),
        ("answered in front", app().layer(from_fn(answers_itself)), Err(MountFault::AnsweredInFront(403))),
        ("no answer", app().layer(from_fn(never_answers)), Err(MountFault::NoAnswer)),
        ("another secret", other_secret, Err(MountFault::WrongSecret)),
        ("a body read in front", app().layer(from_fn(reads)), Err(MountFault::BodyRead)),
        ("a body printed again", app().layer(from_fn(reserialises)), Err(MountFault::BodyReserialised)),
        ("a body decompressed", app().layer(RequestDecompressionLayer::new()), Err(MountFault::BodyDecompressed)),
        ("a smaller limit", app().layer(RequestBodyLimitLayer::new(100_000)), Err(MountFault::SmallerLimit)),
        ("a body cut short", app().layer(from_fn(truncates)), Err(MountFault::BodyTruncated)),
    ];
    for (name, app, expected) in cases {
        assert_eq!(diagnose(app).await, expected, "{name}");
    }
}

#[tokio::test]
async fn circularos_receivers_are_probed_with_its_signer() {
    let receiver = Receiver::circularo(Secret::new(SECRET).unwrap()).build().unwrap();
    let app = Router::new().route(PATH, webhook(receiver).fallback(never).into_route());
    assert_mounted(app.clone(), PATH, &CircularoSigner::new(SECRET)).await;
    let wrong_sender = check_mounted(target(app), PATH, &CircaSigner::new(SECRET)).await;
    assert_eq!(wrong_sender, Err(MountFault::WrongSecret));
}

#[tokio::test]
#[should_panic(expected = "deliveries to /webhooks/circa do not reach the receiver as they should: nothing is routed")]
async fn the_assertion_says_it_in_words() {
    assert_mounted(Router::new(), PATH, &CircaSigner::new(SECRET)).await;
}
