//! The receiver as middleware: verifies and claims in front of any route or tower service.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http,
    response::{IntoResponse, Response},
};
use circa_receiver::{BoxError, HandlerError, Receiver, Routes, adapter::service_result};
use tower_layer::Layer;
use tower_service::Service;

use crate::{handler::result, request::receive};

/// Verifies and claims in front of any service. All event types are let through; the service takes
/// the event with an extractor.
///
/// A 2xx of the service completes the claim, anything else releases it, unless it is a permanent
/// [`Failure`](crate::Failure). The sender gets the receiver's answer, not the service's: see the
/// table in [`Outcome`](circa_receiver::Outcome).
///
/// ```
/// # use axum::{Router, http::StatusCode, routing::post};
/// # use circa_receiver_axum::{AnyEvent, Receiver, ReceiverLayer, Secret};
/// async fn any(event: AnyEvent) -> StatusCode {
///     println!("{:?}", event.kind());
///     StatusCode::NO_CONTENT
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = Secret::new("whsec_test_0123456789abcdef")?;
/// let receiver = Receiver::circa(secret).build()?;
/// let app: Router = Router::new().route("/webhooks/circa", post(any)).layer(ReceiverLayer::new(receiver));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReceiverLayer {
    receiver: Receiver,
}

impl ReceiverLayer {
    /// Middleware around a service, for this receiver.
    ///
    /// # Panics
    ///
    /// If the receiver has an inbox: the service would never run.
    #[track_caller]
    pub fn new(receiver: Receiver) -> Self {
        receiver.assert_runs_at_once();
        Self { receiver }
    }
}

impl<S> Layer<S> for ReceiverLayer {
    type Service = ReceiverService<S>;

    fn layer(&self, service: S) -> ReceiverService<S> {
        let all_to_it = Routes::new().insert_fallback(());
        ReceiverService { receiver: self.receiver.clone(), routes: Arc::new(all_to_it), service }
    }
}

/// A service behind a receiver: made by [`ReceiverLayer`].
#[derive(Clone)]
pub struct ReceiverService<S> {
    receiver: Receiver,
    routes: Arc<Routes<()>>,
    service: S,
}

impl<S, B> Service<http::Request<B>> for ReceiverService<S>
where
    S: Service<Request> + Clone + Send + 'static,
    S::Response: IntoResponse,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    /// Always ready: the service behind is only asked once an event is for it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Self { receiver, routes, service } = self.clone();
        let response = receive(receiver, routes, request.map(Body::new), |(), request| run(service, request));
        Box::pin(async move { Ok(response.await) })
    }
}

async fn run<S>(mut service: S, request: Request) -> Result<(), HandlerError>
where
    S: Service<Request>,
    S::Response: IntoResponse,
    S::Error: Into<BoxError>,
{
    std::future::poll_fn(|cx| service.poll_ready(cx)).await?;
    let response = service.call(request).await?.into_response();
    result(response, |status, _, reason| service_result(status, reason)).await
}

impl<S> fmt::Debug for ReceiverService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverService").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}
