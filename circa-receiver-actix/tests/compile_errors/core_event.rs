use actix_web::HttpResponse;
use circa_receiver::{Event, event::WebhookTest};
use circa_receiver_actix::{Receiver, webhook};

async fn handler(_: Event<WebhookTest>) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

fn route(receiver: Receiver) -> actix_web::Route {
    webhook(receiver).on(handler).into_route()
}

fn main() {}
