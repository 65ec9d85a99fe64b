//! Every fault between a sender and the receiver is named: by an app that has just that fault.

use actix_web::{
    App, Error, HttpMessage, HttpResponse, Route,
    body::{BoxBody, MessageBody},
    dev::{Decompress, Payload, ServiceRequest, ServiceResponse},
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH},
    middleware::{Next, from_fn},
    test::init_service,
    web,
};
use circa_receiver::{
    Receiver, Secret,
    testing::{CircaSigner, CircularoSigner, MountFault, check_mounted},
};
use circa_receiver_actix::{
    AnyEvent,
    testing::{assert_mounted, target},
    webhook,
};

const PATH: &str = "/webhooks/circa";
const SECRET: &str = "whsec_test_0123456789abcdef";

/// No probe reaches a handler.
async fn never(_: AnyEvent) -> HttpResponse {
    panic!("a probe has run a handler");
}

fn mounted(secret: &str) -> Route {
    webhook(Receiver::circa(Secret::new(secret).unwrap()).build().unwrap()).fallback(never).into_route()
}

/// What a middleware makes of the body before it passes it on.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Read,
    Reserialise,
    Decompress,
    Limit,
    Truncate,
    AnswerItself,
    NeverAnswer,
}

async fn change(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let change = *request.app_data::<Change>().unwrap();
    if matches!(change, Change::Decompress) {
        let payload = Decompress::from_headers(request.take_payload(), request.headers());
        request.set_payload(Payload::from(Box::pin(payload) as actix_http::BoxedPayloadStream));
        request.headers_mut().remove(CONTENT_ENCODING);
        request.headers_mut().remove(CONTENT_LENGTH);
        return Ok(next.call(request).await?.map_into_boxed_body());
    }
    let mut body = request.extract::<web::Bytes>().await?.to_vec();
    match change {
        Change::Nothing | Change::Decompress => {}
        Change::AnswerItself => return Ok(request.into_response(HttpResponse::Forbidden().finish())),
        Change::NeverAnswer => std::future::pending().await,
        Change::Limit if body.len() > 100_000 => {
            return Ok(request.into_response(HttpResponse::PayloadTooLarge().finish()));
        }
        Change::Limit => {}
        Change::Read => body.clear(),
        Change::Truncate => body.truncate(64 * 1_024),
        Change::Reserialise => {
            if let Ok(json) = serde_json::from_slice::<serde_json::Value>(&body) {
                body = json.to_string().into_bytes();
            }
        }
    }
    request.headers_mut().remove(CONTENT_LENGTH);
    request.set_payload(Payload::from(body));
    Ok(next.call(request).await?.map_into_boxed_body())
}

#[actix_web::test]
async fn every_fault_of_a_route_is_named() {
    let not_routed = MountFault::NotRouted(PATH.to_owned());
    let wrong_method = MountFault::WrongMethod(PATH.to_owned());
    let cases = [
        ("as it should be", PATH, mounted(SECRET), Ok(())),
        ("not routed", "/elsewhere", mounted(SECRET), Err(not_routed)),
        ("an extractor outside", PATH, web::post().to(never), Err(MountFault::ExtractorOutsideReceiver)),
        ("no receiver", PATH, web::post().to(HttpResponse::Ok), Err(MountFault::NotVerified(200))),
        ("another secret", PATH, mounted("whsec_another_0123456789abcdef"), Err(MountFault::WrongSecret)),
    ];
    for (name, path, route, expected) in cases {
        let app = init_service(App::new().route(path, route)).await;
        assert_eq!(check_mounted(target(app), PATH, &CircaSigner::new(SECRET)).await, expected, "{name}");
    }
    // A resource with a route for another method answers 405; a route of the application's own does
    // not.
    let resource = web::resource(PATH).get(HttpResponse::Ok);
    let app = init_service(App::new().service(resource)).await;
    let other_method = check_mounted(target(app), PATH, &CircaSigner::new(SECRET)).await;
    assert_eq!(other_method, Err(wrong_method), "another method");
}

#[actix_web::test]
async fn every_fault_of_a_middleware_is_named() {
    tokio::time::pause();
    let cases = [
        (Change::Nothing, Ok(())),
        (Change::AnswerItself, Err(MountFault::AnsweredInFront(403))),
        (Change::NeverAnswer, Err(MountFault::NoAnswer)),
        (Change::Read, Err(MountFault::BodyRead)),
        (Change::Reserialise, Err(MountFault::BodyReserialised)),
        (Change::Decompress, Err(MountFault::BodyDecompressed)),
        (Change::Limit, Err(MountFault::SmallerLimit)),
        (Change::Truncate, Err(MountFault::BodyTruncated)),
    ];
    for (kind, expected) in cases {
        let app = App::new()
            .app_data(kind)
            .app_data(web::PayloadConfig::new(usize::MAX))
            .wrap(from_fn(change))
            .route(PATH, mounted(SECRET));
        let app = init_service(app).await;
        assert_eq!(check_mounted(target(app), PATH, &CircaSigner::new(SECRET)).await, expected, "{kind:?}");
    }
}

#[actix_web::test]
async fn circularos_receivers_are_probed_with_its_signer() {
    let receiver = Receiver::circularo(Secret::new(SECRET).unwrap()).build().unwrap();
    let route = webhook(receiver).fallback(never).into_route();
    let app = init_service(App::new().route(PATH, route)).await;
    assert_mounted(&app, PATH, &CircularoSigner::new(SECRET)).await;
    let wrong_sender = check_mounted(target(&app), PATH, &CircaSigner::new(SECRET)).await;
    assert_eq!(wrong_sender, Err(MountFault::WrongSecret));
}

#[actix_web::test]
#[should_panic(expected = "deliveries to /webhooks/circa do not reach the receiver as they should: nothing is routed")]
async fn the_assertion_says_it_in_words() {
    let app = init_service(App::new()).await;
    assert_mounted(app, PATH, &CircaSigner::new(SECRET)).await;
}
