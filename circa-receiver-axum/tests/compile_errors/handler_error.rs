use circa_receiver::HandlerError;
use circa_receiver_axum::{Event, Receiver, event::WebhookTest, webhook};

async fn handler(_: Event<WebhookTest>) -> Result<(), HandlerError> {
    Err(HandlerError::permanent("never"))
}

fn route(receiver: Receiver) -> axum::routing::MethodRouter<u8> {
    webhook(receiver).on(handler).into_route()
}

fn main() {}
