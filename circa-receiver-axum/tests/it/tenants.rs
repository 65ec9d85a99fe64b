//! Several tenants behind one route: the path's segment names the tenant.

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request,
    routing::post,
};
use circa_receiver::{
    BoxError, async_trait,
    testing::{CircaSigner, fixtures},
};
use circa_receiver_axum::{RawDelivery, Receiver, ReceiverLayer, Secret, SecretSource, Secrets, webhook};
use tower::ServiceExt;

const ACME: &str = "whsec_of_acme_0123456789abcdef";

struct Fixed;

#[async_trait]
impl SecretSource for Fixed {
    async fn secrets(&self, tenant: &str) -> Result<Option<Secrets>, BoxError> {
        Ok(if tenant == "acme" { Some(Secret::new(ACME)?.into()) } else { None })
    }
}

async fn handle(delivery: RawDelivery) {
    assert_eq!((delivery.endpoint(), delivery.tenant()), ("circa/acme", Some("acme")));
}

/// The status, the headers and the body of the answer.
async fn send(app: &Router, path: &str, secret: &str) -> (u16, String) {
    let body = fixtures()[0].body().to_owned();
    let signature = CircaSigner::new(secret).sign_now(body.as_bytes());
    let request = Request::post(path).header("circa-signature", signature).body(Body::from(body)).unwrap();
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status.as_u16(), format!("{:?} {body:?}", parts.headers))
}

/// Contract, section 8b: "Unknown tenants and failed signatures get the same 401".
#[tokio::test]
async fn the_path_names_the_tenant() {
    let receiver = || Receiver::circa_for(Fixed).build().unwrap();
    let mounts = [
        ("route", webhook(receiver()).fallback(handle).into_route()),
        ("layer", post(handle).layer(ReceiverLayer::new(receiver()))),
    ];
    for (mount, route) in mounts {
        let app = Router::new().nest("/webhooks", Router::new().route("/circa/{tenant}", route));
        assert_eq!(send(&app, "/webhooks/circa/acme", ACME).await.0, 200, "{mount}");
        let forged = send(&app, "/webhooks/circa/acme", "whsec_of_nobody").await;
        assert_eq!(forged.0, 401, "{mount}");
        for path in
            ["/webhooks/circa/nobody", "/webhooks/circa/..%2Facme", "/webhooks/circa/%FF", "/webhooks/circa/a%20b"]
        {
            assert_eq!(send(&app, path, ACME).await, forged, "{mount} {path}");
        }
    }
}
