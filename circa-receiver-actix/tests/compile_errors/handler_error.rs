use actix_web::HttpResponse;
use circa_receiver::HandlerError;
use circa_receiver_actix::{Event, Receiver, event::WebhookTest, webhook};

async fn handler(_: Event<WebhookTest>) -> Result<HttpResponse, HandlerError> {
    Err(HandlerError::permanent("never"))
}

fn route(receiver: Receiver) -> actix_web::Route {
    webhook(receiver).on(handler).into_route()
}

fn main() {}
