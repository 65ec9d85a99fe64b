//! The reference receiver on axum, to start from. Its environment and its output are described in
//! the library beside it.

use std::process::ExitCode;

use axum::{
    Router,
    extract::State,
    http::{Method, StatusCode, Uri},
    routing::MethodRouter,
};
use circa_receiver_axum::{RawDelivery, Receiver, Receivers, Server, webhook};
use circa_receiver_examples::{
    BoxError, beside, bind_address, grace, h2c, listen, log_to_stderr, path, receivers, record, reload_on_hangup, say,
    start_workers,
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
    let receivers = receivers().await?;
    let mut server = Server::new(receivers.clone()).grace(grace()?);
    if h2c() {
        server = server.dangerous_h2c();
    }
    for worker in start_workers(&receivers)? {
        server = server.worker(worker);
    }
    let mut app = Router::new()
        .route("/livez", server.livez())
        .route("/readyz", server.readyz())
        .route("/healthz", server.readyz());
    for receiver in receivers.iter() {
        app = app.route(&path(receiver), route(receiver));
    }
    reload_on_hangup(&receivers)?;
    let app = app.fallback(unserved).with_state(receivers);
    let listener = listen(&bind_address()).await?;
    say(&format!("listening on {}", listener.local_addr()?));
    Ok(server.serve(listener, app).await?)
}

fn route(receiver: &Receiver) -> MethodRouter<Receivers> {
    let webhook = webhook(receiver.clone());
    // Other types are answered `ignored`, so that the sender does not send them again.
    receiver
        .sender()
        .event_types()
        .fold(webhook, |webhook, event_type| webhook.on_type(event_type, handle))
        .into_route()
}

async fn unserved(State(receivers): State<Receivers>, method: Method, uri: Uri) -> StatusCode {
    beside(&receivers, method.as_str(), uri.path());
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
