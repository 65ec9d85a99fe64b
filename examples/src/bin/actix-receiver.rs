//! The reference receiver on actix-web, to start from. Its environment and its output are described
//! in the library beside it.

use std::process::ExitCode;

use actix_web::{App, HttpRequest, HttpResponse, Route, web};
use circa_receiver_actix::{RawDelivery, Receiver, Receivers, Server, webhook};
use circa_receiver_examples::{
    BoxError, beside, bind_address, grace, h2c, listen, log_to_stderr, path, receivers, record, reload_on_hangup, say,
    start_workers,
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
    let receivers = receivers().await?;
    let mut server = Server::new(receivers.clone()).grace(grace()?);
    if h2c() {
        server = server.dangerous_h2c();
    }
    for worker in start_workers(&receivers)? {
        server = server.worker(worker);
    }
    reload_on_hangup(&receivers)?;
    // One application per worker thread; the receivers, and with them dedup, are shared by all.
    let probes = server.clone();
    let app = move || {
        let mut app = App::new()
            .app_data(web::Data::new(receivers.clone()))
            .route("/livez", probes.livez())
            .route("/readyz", probes.readyz())
            .route("/healthz", probes.readyz());
        for receiver in receivers.iter() {
            app = app.route(&path(receiver), route(receiver));
        }
        app.default_service(web::to(unserved))
    };
    let listener = listen(&bind_address()).await?.into_std()?;
    say(&format!("listening on {}", listener.local_addr()?));
    Ok(server.serve(listener, app).await?)
}

fn route(receiver: &Receiver) -> Route {
    let webhook = webhook(receiver.clone());
    // Other types are answered `ignored`, so that the sender does not send them again.
    receiver
        .sender()
        .event_types()
        .fold(webhook, |webhook, event_type| webhook.on_type(event_type, handle))
        .into_route()
}

async fn unserved(receivers: web::Data<Receivers>, request: HttpRequest) -> HttpResponse {
    beside(&receivers, request.method().as_str(), request.path());
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
