//! The reference receiver on axum, to start from. Its environment and its output are described in the library beside it.

use std::{io, process::ExitCode, time::Duration};

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    routing::{MethodRouter, get},
};
use circa_receiver_axum::{RawDelivery, Receiver, webhook};
use circa_receiver_examples::{
    BoxError, CIRCA_EVENTS, CIRCULARO_EVENTS, Receivers, StopSignals, bind_address, log_to_stderr, record,
};
use tokio::{
    net::{TcpListener, TcpSocket, lookup_host},
    sync::oneshot,
    time::timeout,
};

/// How many connections may wait to be accepted. With the 128 of `TcpListener::bind`, more at once would only get in with their second or third try.
const BACKLOG: u32 = 1_024;

/// How long connections may stay open once the process was told to stop: as long as handlers may, which is the receiver's default.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    log_to_stderr();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum-receiver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let receivers = Receivers::from_env().await?;
    let mut stop = StopSignals::listen()?;
    let bind = bind_address();
    let mut app = Router::new()
        .route("/healthz", get(healthz).with_state(receivers.clone()))
        .route("/webhooks/circa", route(receivers.circa.clone(), &CIRCA_EVENTS));
    if let Some(circularo) = receivers.circularo.clone() {
        app = app.route("/webhooks/circularo", route(circularo, &CIRCULARO_EVENTS));
    }
    let listener = listen(&bind)
        .await
        .map_err(|error| format!("cannot listen on {bind}: {error}; set BIND to a free address and port"))?;
    eprintln!("listening on {}", listener.local_addr()?);
    let (stop_server, server_stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = server_stopped.await;
    });
    let server = tokio::spawn(async move { server.await });

    stop.received().await;
    // The receivers refuse with 503 what still arrives on open connections, and let running handlers end. A connection that never ends its request
    // is not waited for any longer than that.
    let _ = stop_server.send(());
    let (served, ()) = tokio::join!(timeout(DRAIN_DEADLINE, server), receivers.shutdown());
    match served {
        Ok(ended) => Ok(ended??),
        Err(_) => {
            eprintln!("stopped with connections still open");
            Ok(())
        }
    }
}

async fn listen(bind: &str) -> io::Result<TcpListener> {
    let address = lookup_host(bind).await?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As `TcpListener::bind` does: a restart must not wait until the system has forgotten the former process's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn route(receiver: Receiver, event_types: &[&str]) -> MethodRouter {
    event_types.iter().fold(webhook(receiver), |webhook, event_type| webhook.on_type(event_type, handle)).into_route()
}

async fn healthz(State(receivers): State<Receivers>) -> (StatusCode, &'static str) {
    match receivers.health().await {
        Ok(text) => (StatusCode::OK, text),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, text),
    }
}

async fn handle(delivery: RawDelivery) -> StatusCode {
    match record(&delivery) {
        Ok(()) => StatusCode::NO_CONTENT,
        // The event is not recorded: 5xx releases it, and the sender sends it again.
        Err(error) => {
            tracing::error!(%error, "the event was not recorded");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
