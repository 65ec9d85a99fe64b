//! The reference receiver on axum, to start from. Its environment and its output are described in the library beside it.

use std::process::ExitCode;

use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode, Uri},
    routing::MethodRouter,
};
use circa_receiver_axum::{RawDelivery, Receiver, Server, webhook};
use circa_receiver_examples::{
    BoxError, CIRCA_EVENTS, CIRCULARO_EVENTS, Receivers, bind_address, grace, h2c, listen, log_to_stderr, record, say,
};

#[tokio::main]
async fn main() -> ExitCode {
    let _log = log_to_stderr();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("axum-receiver: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let receivers = Receivers::from_env().await?;
    let mut server = Server::new(receivers.all()).grace(grace()?);
    if h2c() {
        server = server.dangerous_h2c();
    }
    let mut app = Router::new()
        .route("/livez", server.livez())
        .route("/readyz", server.readyz())
        .route("/healthz", server.readyz())
        .route("/webhooks/circa", route(receivers.circa.clone(), &CIRCA_EVENTS));
    if let Some(circularo) = receivers.circularo.clone() {
        app = app.route("/webhooks/circularo", route(circularo, &CIRCULARO_EVENTS));
    }
    receivers.reload_on_hangup()?;
    receivers.start_workers()?;
    let app = app.fallback(beside).with_state(receivers);
    let listener = listen(&bind_address()).await?;
    say(&format!("listening on {}", listener.local_addr()?));
    Ok(server.serve(listener, app).await?)
}

fn route(receiver: Receiver, event_types: &[&str]) -> MethodRouter<Receivers> {
    event_types.iter().fold(webhook(receiver), |webhook, event_type| webhook.on_type(event_type, handle)).into_route()
}

async fn beside(State(receivers): State<Receivers>, method: Method, uri: Uri) -> StatusCode {
    receivers.beside(method.as_str(), uri.path());
    StatusCode::NOT_FOUND
}

async fn handle(delivery: RawDelivery) -> StatusCode {
    match record(&delivery).await {
        Ok(()) => StatusCode::NO_CONTENT,
        // The event is not recorded: 5xx releases it, and the sender sends it again.
        Err(error) => {
            tracing::error!(%error, "the event was not recorded");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
