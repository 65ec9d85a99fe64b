//! The candidates on actix-web, with one worker.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::StatusCode, web};
use circa_receiver_actix::{Event, event::DatapointPulled, webhook};

use crate::{by_hand, by_hand::ByHand, count, handle};

pub fn serve(candidate: &str, port: u16) -> std::io::Result<()> {
    let candidate = candidate.to_owned();
    let app = move || {
        let app = App::new().route("/count", web::get().to(async || count()));
        match &candidate[..] {
            "circa-receiver" => app.route("/webhooks/circa", webhook(crate::receiver()).on(ours).into_route()),
            other => {
                let receiver = web::Data::new(by_hand::named(other));
                app.app_data(receiver).route("/webhooks/circa", web::post().to(receive))
            }
        }
    };
    actix_web::rt::System::new().block_on(HttpServer::new(app).workers(1).bind(("127.0.0.1", port))?.run())
}

async fn ours(Event(event): Event<DatapointPulled>) -> HttpResponse {
    handle(event.data());
    HttpResponse::Ok().finish()
}

async fn receive(receiver: web::Data<ByHand>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signature = request.headers().get("circa-signature").and_then(|value| value.to_str().ok());
    match receiver(signature.unwrap_or_default(), &body) {
        Err(status) => HttpResponse::new(StatusCode::from_u16(status).expect("the statuses are HTTP's")),
        Ok(None) => HttpResponse::new(StatusCode::OK),
        Ok(Some(data)) => {
            actix_web::rt::spawn(async move { handle(&data) }).await.expect("no handler panics");
            HttpResponse::Ok()
                .content_type("text/plain; charset=utf-8")
                .insert_header(("circa-receiver-outcome", "handled"))
                .body("handled")
        }
    }
}
