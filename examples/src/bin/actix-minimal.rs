//! The smallest receiver on actix-web: two typed handlers for Circa's two events.

use actix_web::{App, HttpResponse, HttpServer};
use circa_receiver_actix::{
    Event, Receiver, Secret,
    event::{DatapointPulled, WebhookTest},
    webhook,
};

async fn pulled(Event(event): Event<DatapointPulled>) -> HttpResponse {
    println!("{}: data pulled by {}", event.id(), event.data().user_id().unwrap_or("an unknown user"));
    HttpResponse::NoContent().finish()
}

async fn tested(Event(event): Event<WebhookTest>) -> HttpResponse {
    println!("{}: {}", event.id(), event.data().message());
    HttpResponse::NoContent().finish()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?).build()?;
    let route = move || webhook(receiver.clone()).on(pulled).on(tested).into_route();
    Ok(HttpServer::new(move || App::new().route("/webhooks/circa", route())).bind("127.0.0.1:3000")?.run().await?)
}
