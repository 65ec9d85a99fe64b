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

use crate::{careful::Careful, count, handle, least::Least, naive::Naive};

pub fn serve(candidate: &str, port: u16) -> std::io::Result<()> {
    let route = match candidate {
        "bare" => post(bare),
        "answer" => post(answer).with_state(Arc::new(Least::new())),
        "naive" => post(naive).with_state(Arc::new(Naive::new())),
        "careful" => post(careful).with_state(Arc::new(Careful::new())),
        "circa-receiver" => webhook(crate::receiver()).on(ours).into_route(),
        other => panic!("no candidate is called {other}"),
    };
    let app = Router::new().route("/webhooks/circa", route).route("/count", get(async || count()));
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
    status(naive.receive(signature, &body))
}

async fn careful(State(careful): State<Arc<Careful>>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 20).await else { return StatusCode::BAD_REQUEST };
    let signature = parts.headers.get("circa-signature").and_then(|value| value.to_str().ok());
    status(careful.receive(signature, &body))
}

async fn answer(State(least): State<Arc<Least>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 20).await else { return StatusCode::BAD_REQUEST.into_response() };
    let signature = parts.headers.get("circa-signature").map(|value| value.as_bytes());
    match least.take(signature, &body) {
        Err(other) => status(other).into_response(),
        Ok(data) => {
            tokio::spawn(async move { handle(&data) }).await.expect("no handler panics");
            ([(HeaderName::from_static("circa-receiver-outcome"), "handled")], "handled").into_response()
        }
    }
}

async fn ours(Event(event): Event<DatapointPulled>) {
    handle(event.data());
}

fn status(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("the statuses are HTTP's")
}
