//! The smallest receiver on actix-web: the code of README.md.

use actix_web::{App, HttpResponse, web};
use circa_receiver_actix::{
    Event, Receiver, Secret,
    event::{DatapointPulled, WebhookTest},
    serve, webhook,
};

struct Db; // yours

async fn pulled(_db: web::Data<Db>, Event(event): Event<DatapointPulled>) -> HttpResponse {
    println!("{}: {:?} pulled data", event.id(), event.data().user_id());
    HttpResponse::NoContent().finish()
}

async fn tested(Event(event): Event<WebhookTest>) -> HttpResponse {
    println!("{}: {}", event.id(), event.data().message());
    HttpResponse::NoContent().finish()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?).build()?;
    let (db, mounted) = (web::Data::new(Db), receiver.clone());
    let route = move || webhook(mounted.clone()).on(pulled).on(tested).into_route();
    let app = move || App::new().app_data(db.clone()).route("/webhooks/circa", route());
    let listener = std::net::TcpListener::bind("127.0.0.1:3000")?;
    Ok(serve(listener, app, [receiver]).await?)
}
