//! An application on actix-web that takes webhooks beside its own work: a pool, middleware, nested
//! scopes, two endpoints, a route that rotates secrets, and metrics.

use std::error::Error;

use actix_web::{
    App, HttpResponse,
    middleware::{Compress, Logger},
    web::{self, Data},
};
use circa_receiver_actix::{
    Event, Failure, RawDelivery, Receiver, Secrets, Server,
    event::{DatapointPulled, DocumentCompleted, WebhookTest},
    webhook,
};
use circa_receiver_examples::application::Application;
use sqlx::PgPool;

/// Of the application's own routes; the receiver has a limit of its own, 1 MiB.
const BODY_LIMIT: usize = 64 * 1_024;

async fn pulled(
    application: Data<Application>,
    Event(event): Event<DatapointPulled>,
    delivery: RawDelivery,
) -> Result<HttpResponse, Failure> {
    let user = event.data().user_id().ok_or_else(|| Failure::permanent("the pull names no user"))?;
    application.keep(&delivery, user).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn tested(Event(event): Event<WebhookTest>) -> HttpResponse {
    println!("{}", event.data().message());
    HttpResponse::NoContent().finish()
}

async fn completed(
    application: Data<Application>,
    Event(event): Event<DocumentCompleted>,
    delivery: RawDelivery,
) -> Result<HttpResponse, Failure> {
    application.keep(&delivery, event.data().document_id()).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn metrics(application: Data<Application>) -> String {
    application.metrics.text()
}

async fn rotate(application: Data<Application>, endpoint: web::Path<String>, new: String) -> HttpResponse {
    if application.rotate(&endpoint, &new) {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::UnprocessableEntity().finish()
    }
}

/// The routes of the whole application. Protect `/admin` with what you protect yours with.
pub(crate) fn routes(application: &Application, app: &mut web::ServiceConfig) {
    let receiver = |endpoint| application.receivers.get(endpoint).expect("the application has this endpoint").clone();
    let webhooks = web::scope("/webhooks")
        .route("/circa", webhook(receiver("circa")).on(pulled).on(tested).into_route())
        .route("/circularo", webhook(receiver("circularo")).on(completed).into_route());
    let admin = web::scope("/admin")
        .route("/metrics", web::get().to(metrics))
        .route("/secrets/{endpoint}", web::post().to(rotate));
    app.app_data(Data::new(application.clone()))
        .app_data(web::PayloadConfig::new(BODY_LIMIT))
        .service(webhooks)
        .service(admin);
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let pool = PgPool::connect_lazy(&std::env::var("DATABASE_URL")?)?;
    let endpoints = [
        Receiver::circa(Secrets::from_env("CIRCA_WEBHOOK_SECRET")?),
        Receiver::circularo(Secrets::from_env("CIRCULARO_HMAC_SECRET")?),
    ];
    let application = Application::new(pool, endpoints).await?;
    let server = Server::new(application.receivers.clone());
    let probes = server.clone();
    let app = move || {
        App::new()
            .configure(|app| routes(&application, app))
            .route("/readyz", probes.readyz())
            .wrap(Compress::default())
            .wrap(Logger::default())
    };
    Ok(server.serve(std::net::TcpListener::bind("127.0.0.1:3000")?, app).await?)
}
