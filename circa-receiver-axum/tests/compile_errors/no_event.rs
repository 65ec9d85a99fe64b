use circa_receiver_axum::{Receiver, webhook};

async fn handler(_: String) {}

fn route(receiver: Receiver) -> axum::routing::MethodRouter<u8> {
    webhook(receiver).on(handler).into_route()
}

fn main() {}
