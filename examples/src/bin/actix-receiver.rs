//! The reference receiver on actix-web, to start from. Its environment and its output are described in the library beside it.

use std::process::ExitCode;

use actix_web::{App, HttpResponse, HttpServer, Route, http::StatusCode, rt, web};
use circa_receiver_actix::{RawDelivery, Receiver, webhook};
use circa_receiver_examples::{
    BoxError, CIRCA_EVENTS, CIRCULARO_EVENTS, Receivers, StopSignals, bind_address, log_to_stderr, record,
};

/// How long connections may stay open once all handlers have ended, in seconds: idle ones would hold up the end for nothing.
const CONNECTIONS_MAY_STAY: u64 = 5;

#[actix_web::main]
async fn main() -> ExitCode {
    log_to_stderr();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("actix-receiver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let receivers = Receivers::from_env().await?;
    let mut stop = StopSignals::listen()?;
    let bind = bind_address();
    let server = {
        let receivers = receivers.clone();
        // One application per worker thread; the receivers, and with them dedup, are shared by all.
        HttpServer::new(move || {
            let circularo = receivers.circularo.clone();
            App::new()
                .app_data(web::Data::new(receivers.clone()))
                .route("/healthz", web::get().to(healthz))
                .route("/webhooks/circa", route(receivers.circa.clone(), &CIRCA_EVENTS))
                .configure(|app| {
                    if let Some(circularo) = circularo {
                        app.route("/webhooks/circularo", route(circularo, &CIRCULARO_EVENTS));
                    }
                })
        })
    };
    let server = server
        .disable_signals()
        .shutdown_timeout(CONNECTIONS_MAY_STAY)
        .bind_auto_h2c(&bind)
        .map_err(|error| format!("cannot listen on {bind}: {error}; set BIND to a free address and port"))?;
    for address in server.addrs() {
        eprintln!("listening on {address}");
    }
    let server = server.run();
    let handle = server.handle();
    let server = rt::spawn(server);

    stop.received().await;
    // Handlers first: they live on the server's threads, which end with it.
    receivers.shutdown().await;
    handle.stop(true).await;
    Ok(server.await??)
}

fn route(receiver: Receiver, event_types: &[&str]) -> Route {
    event_types.iter().fold(webhook(receiver), |webhook, event_type| webhook.on_type(event_type, handle)).into_route()
}

async fn healthz(receivers: web::Data<Receivers>) -> (&'static str, StatusCode) {
    match receivers.health().await {
        Ok(text) => (text, StatusCode::OK),
        Err(text) => (text, StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn handle(delivery: RawDelivery) -> HttpResponse {
    match record(&delivery) {
        Ok(()) => HttpResponse::NoContent().finish(),
        // The event is not recorded: 5xx releases it, and the sender sends it again.
        Err(error) => {
            tracing::error!(%error, "the event was not recorded");
            HttpResponse::InternalServerError().finish()
        }
    }
}
