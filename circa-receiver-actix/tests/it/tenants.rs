//! Several tenants behind one route: the path's segment names the tenant.

use actix_web::{
    App, HttpResponse,
    body::to_bytes,
    test::{TestRequest, call_service, init_service},
    web,
};
use circa_receiver::{
    BoxError, async_trait,
    testing::{CircaSigner, fixtures},
};
use circa_receiver_actix::{RawDelivery, Receiver, ReceiverLayer, Secret, SecretSource, Secrets, webhook};

const ACME: &str = "whsec_of_acme_0123456789abcdef";

struct Fixed;

#[async_trait]
impl SecretSource for Fixed {
    async fn secrets(&self, tenant: &str) -> Result<Option<Secrets>, BoxError> {
        Ok(if tenant == "acme" { Some(Secret::new(ACME)?.into()) } else { None })
    }
}

async fn handle(delivery: RawDelivery) -> HttpResponse {
    assert_eq!((delivery.endpoint(), delivery.tenant()), ("circa/acme", Some("acme")));
    HttpResponse::NoContent().finish()
}

type Mount = fn(&mut web::ServiceConfig);

/// The status, the headers and the body of the answer.
async fn send(mount: Mount, path: &str, secret: &str) -> (u16, String) {
    let app = init_service(App::new().service(web::scope("/webhooks").configure(mount))).await;
    let body = fixtures()[0].body().to_owned();
    let signature = CircaSigner::new(secret).sign_now(body.as_bytes());
    let request = TestRequest::post().uri(path).insert_header(("circa-signature", signature)).set_payload(body);
    let response = call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    let mut headers: Vec<_> = response.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    (status, format!("{headers:?} {:?}", to_bytes(response.into_body()).await.unwrap()))
}

fn receiver() -> Receiver {
    Receiver::circa_for(Fixed).build().unwrap()
}

/// Contract, section 8b: "Unknown tenants and failed signatures get the same 401".
#[actix_web::test]
async fn the_path_names_the_tenant() {
    let mounts: [(&str, Mount); 2] = [
        ("route", |app| {
            app.route("/circa/{tenant}", webhook(receiver()).fallback(handle).into_route());
        }),
        ("layer", |app| {
            app.service(
                web::resource("/circa/{tenant}").wrap(ReceiverLayer::new(receiver())).route(web::post().to(handle)),
            );
        }),
    ];
    for (name, mount) in mounts {
        assert_eq!(send(mount, "/webhooks/circa/acme", ACME).await.0, 200, "{name}");
        let forged = send(mount, "/webhooks/circa/acme", "whsec_of_nobody").await;
        assert_eq!(forged.0, 401, "{name}");
        for path in
            ["/webhooks/circa/nobody", "/webhooks/circa/..%2Facme", "/webhooks/circa/%FF", "/webhooks/circa/a%20b"]
        {
            assert_eq!(send(mount, path, ACME).await, forged, "{name} {path}");
        }
    }
}
