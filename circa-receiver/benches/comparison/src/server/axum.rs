//! The candidates on axum, on a runtime of one thread.

use std::sync::Arc;

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use circa_receiver_axum::{Event, event::DatapointPulled, webhook};

use crate::{by_hand, by_hand::ByHand, count, handle};

pub fn serve(candidate: &str, port: u16) -> std::io::Result<()> {
    let route = match candidate {
        "circa-receiver" => webhook(crate::receiver()).on(ours).into_route(),
        other => post(receive).with_state(Arc::new(by_hand::named(other))),
    };
    let app = Router::new().route("/webhooks/circa", route).route("/count", get(async || count()));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
        axum::serve(listener, app).await
    })
}

async fn ours(Event(event): Event<DatapointPulled>) {
    handle(event.data());
}

async fn receive(State(receiver): State<Arc<ByHand>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 1 << 20).await else { return StatusCode::BAD_REQUEST.into_response() };
    let signature = parts.headers.get("circa-signature").and_then(|value| value.to_str().ok());
    match receiver(signature.unwrap_or_default(), &body) {
        Err(status) => StatusCode::from_u16(status).expect("the statuses are HTTP's").into_response(),
        Ok(None) => StatusCode::OK.into_response(),
        Ok(Some(data)) => {
            tokio::spawn(async move { handle(&data) }).await.expect("no handler panics");
            ([(HeaderName::from_static("circa-receiver-outcome"), "handled")], "handled").into_response()
        }
    }
}
