use actix_web::{HttpResponse, web::Data};
use circa_receiver_actix::{Receiver, webhook};

async fn handler(_: Data<u8>) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

fn route(receiver: Receiver) -> actix_web::Route {
    webhook(receiver).on(handler).into_route()
}

fn main() {}
