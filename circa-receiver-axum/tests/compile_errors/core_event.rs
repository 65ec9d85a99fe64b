use circa_receiver::{Event, event::WebhookTest};
use circa_receiver_axum::{Receiver, webhook};

async fn handler(_: Event<WebhookTest>) {}

fn route(receiver: Receiver) -> axum::routing::MethodRouter<u8> {
    webhook(receiver).on(handler).into_route()
}

fn main() {}
