//! The candidates on axum, on a runtime of one thread.

use std::sync::Arc;

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use circa_receiver_axum::{Event, event::DatapointPulled, webhook};

use crate::{
    Candidate, PATH,
    careful::Careful,
    count, handle,
    naive::Naive,
    rungs::{Rungs, Taken},
};

pub fn serve(candidate: Candidate, port: u16, secret: &str) -> std::io::Result<()> {
    let route = match candidate {
        Candidate::Bare => post(bare),
        Candidate::Naive => post(naive).with_state(Arc::new(Naive::new(secret))),
        Candidate::Careful => post(careful).with_state(Arc::new(Careful::new(secret))),
        Candidate::UpTo(rung) => post(up_to).with_state(Arc::new(Rungs::new(rung, secret))),
        Candidate::Ours | Candidate::OursByDefault => {
            let receiver = crate::receiver(candidate, secret);
            webhook(receiver).on(ours).into_route()
        }
    };
    let app = Router::new().route(PATH, route).route("/count", get(async || count()));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        axum::serve(listener, app).await
    })
}

async fn bare(body: Bytes) -> StatusCode {
    handle(&body);
    StatusCode::OK
}

async fn naive(State(naive): State<Arc<Naive>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("circa-signature").and_then(|value| value.to_str().ok());
    StatusCode::from_u16(naive.receive(signature, &body)).expect("the statuses are HTTP's")
}

async fn careful(State(careful): State<Arc<Careful>>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 20).await else { return StatusCode::BAD_REQUEST };
    let signature = parts.headers.get("circa-signature").and_then(|value| value.to_str().ok());
    StatusCode::from_u16(careful.receive(signature, &body)).expect("the statuses are HTTP's")
}

async fn up_to(State(rungs): State<Arc<Rungs>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 20).await else { return StatusCode::BAD_REQUEST.into_response() };
    let signature = parts.headers.get("circa-signature").map(|value| value.as_bytes());
    match rungs.take(signature, &body) {
        Taken::Answer(status) => return StatusCode::from_u16(status).expect("the statuses are HTTP's").into_response(),
        Taken::Body => handle(&body),
        Taken::Event(event) => handle(&event),
        Taken::Task(event) => tokio::spawn(async move { handle(&event) }).await.expect("no handler panics"),
    }
    if rungs.tells() {
        let outcome = HeaderName::from_static("circa-receiver-outcome");
        ([(outcome, "handled")], "handled").into_response()
    } else {
        StatusCode::OK.into_response()
    }
}

async fn ours(Event(event): Event<DatapointPulled>) {
    handle(event.data());
}
