//! The reference receiver on actix-web, to start from. Its environment and its output are described in the library beside it.

use std::process::ExitCode;

use actix_web::{App, HttpRequest, HttpResponse, Route, web};
use circa_receiver_actix::{RawDelivery, Receiver, Server, webhook};
use circa_receiver_examples::{
    BoxError, CIRCA_EVENTS, CIRCULARO_EVENTS, Receivers, bind_address, grace, h2c, listen, log_to_stderr, record, say,
};

#[actix_web::main]
async fn main() -> ExitCode {
    let _log = log_to_stderr();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("actix-receiver: {error}"));
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
    receivers.reload_on_hangup()?;
    receivers.start_workers()?;
    // One application per worker thread; the receivers, and with them dedup, are shared by all.
    let probes = server.clone();
    let app = move || {
        let circularo = receivers.circularo.clone();
        App::new()
            .app_data(web::Data::new(receivers.clone()))
            .route("/livez", probes.livez())
            .route("/readyz", probes.readyz())
            .route("/healthz", probes.readyz())
            .route("/webhooks/circa", route(receivers.circa.clone(), &CIRCA_EVENTS))
            .configure(|app| {
                if let Some(circularo) = circularo {
                    app.route("/webhooks/circularo", route(circularo, &CIRCULARO_EVENTS));
                }
            })
            .default_service(web::to(beside))
    };
    let listener = listen(&bind_address()).await?.into_std()?;
    say(&format!("listening on {}", listener.local_addr()?));
    Ok(server.serve(listener, app).await?)
}

fn route(receiver: Receiver, event_types: &[&str]) -> Route {
    event_types.iter().fold(webhook(receiver), |webhook, event_type| webhook.on_type(event_type, handle)).into_route()
}

async fn beside(receivers: web::Data<Receivers>, request: HttpRequest) -> HttpResponse {
    receivers.beside(request.method().as_str(), request.path());
    HttpResponse::NotFound().finish()
}

async fn handle(delivery: RawDelivery) -> HttpResponse {
    match record(&delivery).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        // The event is not recorded: 5xx releases it, and the sender sends it again.
        Err(error) => {
            tracing::error!(%error, "the event was not recorded");
            HttpResponse::InternalServerError().finish()
        }
    }
}
