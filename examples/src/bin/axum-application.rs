//! An application on axum that takes webhooks beside its own work: a pool, layers, nested routers,
//! two endpoints, a route that rotates secrets, and metrics.

use std::{error::Error, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use circa_receiver_axum::{
    Event, Failure, RawDelivery, Receiver, Secrets, Server,
    event::{DatapointPulled, DocumentCompleted, WebhookTest},
    webhook,
};
use circa_receiver_examples::application::Application;
use sqlx::PgPool;
use tower_http::{
    compression::CompressionLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer, trace::TraceLayer,
};

/// Above the ack deadline of 10 s, so that the receiver answers first.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Above the receiver's own limit of 1 MiB.
const BODY_LIMIT: usize = 2 * 1_024 * 1_024;

async fn pulled(
    State(application): State<Application>,
    Event(event): Event<DatapointPulled>,
    delivery: RawDelivery,
) -> Result<(), Failure> {
    let user = event.data().user_id().ok_or_else(|| Failure::permanent("the pull names no user"))?;
    Ok(application.keep(&delivery, user).await?)
}

async fn tested(Event(event): Event<WebhookTest>) {
    println!("{}", event.data().message());
}

async fn completed(
    State(application): State<Application>,
    Event(event): Event<DocumentCompleted>,
    delivery: RawDelivery,
) -> Result<(), Failure> {
    Ok(application.keep(&delivery, event.data().document_id()).await?)
}

async fn metrics(State(application): State<Application>) -> String {
    application.metrics.text()
}

async fn rotate(State(application): State<Application>, Path(endpoint): Path<String>, new: String) -> StatusCode {
    if application.rotate(&endpoint, &new) { StatusCode::NO_CONTENT } else { StatusCode::UNPROCESSABLE_ENTITY }
}

/// The whole application. Protect `/admin` with what you protect yours with.
pub(crate) fn app(application: Application) -> Router {
    let receiver = |endpoint| application.receivers.get(endpoint).expect("the application has this endpoint").clone();
    let webhooks = Router::new()
        .route("/circa", webhook(receiver("circa")).on(pulled).on(tested).into_route())
        .route("/circularo", webhook(receiver("circularo")).on(completed).into_route());
    let admin = Router::new().route("/metrics", get(metrics)).route("/secrets/{endpoint}", post(rotate));
    Router::new()
        .nest("/webhooks", webhooks)
        .nest("/admin", admin)
        .with_state(application)
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, TIMEOUT))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .layer(CompressionLayer::new())
        .layer(TraceLayer::new_for_http())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let pool = PgPool::connect_lazy(&std::env::var("DATABASE_URL")?)?;
    let endpoints = [
        Receiver::circa(Secrets::from_env("CIRCA_WEBHOOK_SECRET")?),
        Receiver::circularo(Secrets::from_env("CIRCULARO_HMAC_SECRET")?),
    ];
    let application = Application::new(pool, endpoints).await?;
    let server = Server::new(application.receivers.clone());
    let app = app(application).route("/readyz", server.readyz());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(server.serve(listener, app).await?)
}
