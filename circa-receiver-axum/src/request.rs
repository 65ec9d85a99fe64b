//! One request: read it, call the core, spawn, write the answer.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, FromRequestParts, RawPathParams, Request},
    http::{HeaderName, HeaderValue, Method, Version, request::Parts},
    response::Response,
};
use circa_receiver::{
    Delivery, HandlerError, Receiver, Routes,
    adapter::{Drainable, Head, Reception, StoredHead, TENANT},
};

/// Receives a request, and runs what is wanted in a task of its own.
pub(crate) fn receive<H, F>(
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
    // Boxed, and before the future begins: what is larger than a kilobyte costs the allocator
    // several times as much, and futures hold what they move more than once.
    let mut parts = Box::new(parts);
    async move {
        let mut body = Drainable::new(body.into_data_stream());
        let tenant = if receiver.has_tenants() { tenant(&mut parts).await } else { None };
        let head = RequestHead { parts: &parts, tenant: tenant.as_deref() };
        match receiver.receive(&head, Pin::new(&mut body), &routes).await {
            Reception::Answered(response) => {
                // Only HTTP/1 needs the body's end to end the connection in peace.
                if response.closes_connection() && parts.version < Version::HTTP_2 {
                    body.drain().map(tokio::spawn);
                }
                response.into()
            }
            Reception::Admitted(admitted, handler) => {
                let handler = handler.clone();
                let (task, answer) = admitted.run(move |delivery| run(handler, carrying(*parts, delivery)));
                answer.wait_for(tokio::spawn(task)).await.into()
            }
        }
    }
}

/// The head, and the tenant that the path names.
struct RequestHead<'r> {
    parts: &'r Parts,
    tenant: Option<&'r str>,
}

impl Head for RequestHead<'_> {
    fn method(&self) -> &str {
        self.parts.method.as_str()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        Head::headers(self.parts)
    }

    fn path(&self) -> &str {
        Head::path(self.parts)
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant
    }
}

async fn tenant(parts: &mut Parts) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().find(|(name, _)| *name == TENANT).map(|(_, tenant)| tenant.to_owned())
}

/// A request made from what was stored of one.
pub(crate) fn stored(delivery: Delivery, head: &StoredHead) -> Request {
    let (mut parts, ()) = axum::http::Request::new(()).into_parts();
    parts.method = Method::POST;
    parts.uri = head.path().parse().unwrap_or_default();
    for (name, value) in head.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            parts.headers.append(name, value);
        }
    }
    carrying(parts, delivery)
}

/// The request with which a handler is run.
fn carrying(parts: Parts, delivery: Delivery) -> Request {
    let mut request = Request::from_parts(parts, Body::from(delivery.body().clone()));
    request.extensions_mut().insert(delivery);
    // The receiver's limit holds; the application's own must not refuse a body that is here
    // already.
    DefaultBodyLimit::disable().apply(&mut request);
    request
}
