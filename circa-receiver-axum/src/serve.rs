//! One request: read it, call the core, spawn, write the answer.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderName, HeaderValue, StatusCode, Version, header::CONNECTION, request::Parts},
    response::Response,
};
use circa_receiver::{Drainable, HandlerError, Head, Receiver, Reception, Routes};

/// Receives a request, and runs what is wanted in a task of its own.
pub(crate) fn serve<H, F>(
    receiver: Receiver,
    routes: Arc<Routes<H>>,
    request: Request,
    run: impl FnOnce(H, Request) -> F + Send + 'static,
) -> impl Future<Output = Response> + Send
where
    H: Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    // Boxed, and before the future begins: what is larger than a kilobyte costs the allocator several times as much, and futures hold what they move
    // more than once.
    let parts = Box::new(parts);
    async move {
        let mut body = Drainable::new(body.into_data_stream());
        match receiver.receive(&RequestHead(&parts), Pin::new(&mut body), &routes).await {
            Reception::Answered(response) => {
                // Only HTTP/1 needs the body's end to end the connection in peace.
                if response.closes_connection() && parts.version < Version::HTTP_2 {
                    body.drain().map(tokio::spawn);
                }
                convert(response)
            }
            Reception::Admitted(admitted, handler) => {
                let handler = handler.clone();
                let (task, answer) = admitted.run(move |delivery| {
                    let mut request = Request::from_parts(*parts, Body::from(delivery.body().clone()));
                    request.extensions_mut().insert(delivery);
                    // The receiver's limit holds; the application's own must not refuse a body that is here already.
                    DefaultBodyLimit::disable().apply(&mut request);
                    run(handler, request)
                });
                convert(answer.wait_for(tokio::spawn(task)).await)
            }
        }
    }
}

struct RequestHead<'r>(&'r Parts);

impl Head for RequestHead<'_> {
    fn method(&self) -> &str {
        self.0.method.as_str()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }
}

pub(crate) fn convert(response: circa_receiver::Response) -> Response {
    let mut converted = Response::new(Body::from(response.body()));
    *converted.status_mut() = StatusCode::from_u16(response.status()).expect("the core's statuses are HTTP's");
    let headers = converted.headers_mut();
    // Room for the two or three here, and for the length, which axum adds.
    headers.reserve(4);
    for (name, value) in response.headers() {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if response.closes_connection() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    converted
}
