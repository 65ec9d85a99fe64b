//! The candidates on actix-web, with one worker.

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, http::StatusCode, web};
use circa_receiver_actix::{Event, event::DatapointPulled, webhook};

use crate::{
    Candidate, PATH,
    careful::Careful,
    count, handle,
    naive::Naive,
    rungs::{Rungs, Taken},
};

pub fn serve(candidate: Candidate, port: u16, secret: &str) -> std::io::Result<()> {
    let (naively, carefully) = (web::Data::new(Naive::new(secret)), web::Data::new(Careful::new(secret)));
    let rungs =
        if let Candidate::UpTo(rung) = candidate { Some(web::Data::new(Rungs::new(rung, secret))) } else { None };
    let receiver = crate::receiver(candidate, secret);
    let app = move || {
        let route = match candidate {
            Candidate::Bare => web::post().to(bare),
            Candidate::Naive => web::post().to(naive),
            Candidate::Careful => web::post().to(careful),
            Candidate::UpTo(_) => web::post().to(up_to),
            Candidate::Ours | Candidate::OursByDefault => webhook(receiver.clone()).on(ours).into_route(),
        };
        let app = App::new().app_data(naively.clone()).app_data(carefully.clone());
        let app = if let Some(rungs) = &rungs { app.app_data(rungs.clone()) } else { app };
        app.route(PATH, route).route("/count", web::get().to(async || count()))
    };
    actix_web::rt::System::new().block_on(HttpServer::new(app).workers(1).bind(("127.0.0.1", port))?.run())
}

async fn bare(body: web::Bytes) -> HttpResponse {
    handle(&body);
    HttpResponse::Ok().finish()
}

async fn naive(naive: web::Data<Naive>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signature = request.headers().get("circa-signature").and_then(|value| value.to_str().ok());
    let status = StatusCode::from_u16(naive.receive(signature, &body)).expect("the statuses are HTTP's");
    HttpResponse::new(status)
}

async fn careful(careful: web::Data<Careful>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signature = request.headers().get("circa-signature").and_then(|value| value.to_str().ok());
    let status = StatusCode::from_u16(careful.receive(signature, &body)).expect("the statuses are HTTP's");
    HttpResponse::new(status)
}

async fn up_to(rungs: web::Data<Rungs>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let signature = request.headers().get("circa-signature").map(|value| value.as_bytes());
    match rungs.take(signature, &body) {
        Taken::Answer(status) => {
            return HttpResponse::new(StatusCode::from_u16(status).expect("the statuses are HTTP's"));
        }
        Taken::Body => handle(&body),
        Taken::Event(event) => handle(&event),
        Taken::Task(event) => {
            actix_web::rt::spawn(async move { handle(&event) }).await.expect("no handler panics");
        }
    }
    if rungs.tells() {
        let mut answer = HttpResponse::Ok();
        answer.content_type("text/plain; charset=utf-8").insert_header(("circa-receiver-outcome", "handled"));
        answer.body("handled")
    } else {
        HttpResponse::Ok().finish()
    }
}

async fn ours(Event(event): Event<DatapointPulled>) -> HttpResponse {
    handle(event.data());
    HttpResponse::Ok().finish()
}
