use axum::extract::State;
use circa_receiver_axum::{Receiver, webhook};

async fn handler(State(_): State<u8>) {}

fn route(receiver: Receiver) -> axum::routing::MethodRouter<u8> {
    webhook(receiver).on(handler).into_route()
}

fn main() {}
