//! The candidates on actix-web, with one worker.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::StatusCode, web};
use circa_receiver_actix::{Event, event::DatapointPulled, webhook};

use crate::{careful::Careful, count, handle, least::Least, naive::Naive};

pub fn serve(candidate: &str, port: u16) -> std::io::Result<()> {
    let (least, naively) = (web::Data::new(Least::new()), web::Data::new(Naive::new()));
    let (carefully, receiver) = (web::Data::new(Careful::new()), crate::receiver());
    let candidate = candidate.to_owned();
    let app = move || {
        let route = match &candidate[..] {
            "bare" => web::post().to(bare),
            "answer" => web::post().to(answer),
            "naive" => web::post().to(naive),
            "careful" => web::post().to(careful),
            "circa-receiver" => webhook(receiver.clone()).on(ours).into_route(),
            other => panic!("no candidate is called {other}"),
        };
        let app = App::new().app_data(least.clone()).app_data(naively.clone()).app_data(carefully.clone());
        app.route("/webhooks/circa", route).route("/count", web::get().to(async || count()))
    };
    actix_web::rt::System::new().block_on(HttpServer::new(app).workers(1).bind(("127.0.0.1", port))?.run())
}

async fn bare(body: web::Bytes) -> HttpResponse {
    handle(&body);
    HttpResponse::Ok().finish()
}

async fn naive(naive: web::Data<Naive>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signature = request.headers().get("circa-signature").and_then(|value| value.to_str().ok());
    status(naive.receive(signature, &body))
}

async fn careful(careful: web::Data<Careful>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signature = request.headers().get("circa-signature").and_then(|value| value.to_str().ok());
    status(careful.receive(signature, &body))
}

async fn answer(least: web::Data<Least>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signature = request.headers().get("circa-signature").map(|value| value.as_bytes());
    match least.take(signature, &body) {
        Err(other) => status(other),
        Ok(data) => {
            actix_web::rt::spawn(async move { handle(&data) }).await.expect("no handler panics");
            let mut answer = HttpResponse::Ok();
            answer
                .content_type("text/plain; charset=utf-8")
                .insert_header(("circa-receiver-outcome", "handled"))
                .body("handled")
        }
    }
}

async fn ours(Event(event): Event<DatapointPulled>) -> HttpResponse {
    handle(event.data());
    HttpResponse::Ok().finish()
}

fn status(status: u16) -> HttpResponse {
    HttpResponse::new(StatusCode::from_u16(status).expect("the statuses are HTTP's"))
}
