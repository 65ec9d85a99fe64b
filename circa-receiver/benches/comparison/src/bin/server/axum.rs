//! The candidates on axum, on a runtime of one thread.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use circa_receiver_axum::{Event, event::DatapointPulled, webhook};

use crate::{Candidate, PATH, count, handle, naive::Naive};

pub fn serve(candidate: Candidate, port: u16, secret: &str) -> std::io::Result<()> {
    let route = match candidate {
        Candidate::Bare => post(bare),
        Candidate::Untyped => post(naive).with_state(Arc::new(Naive::new(secret, false))),
        Candidate::Naive => post(naive).with_state(Arc::new(Naive::new(secret, true))),
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

async fn ours(Event(event): Event<DatapointPulled>) {
    handle(event.data());
}
