//! The receiver as middleware: verifies and claims in front of any service.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpRequest,
    body::MessageBody,
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform},
    error::InternalError,
};
use circa_receiver::{HandlerError, Receiver, Routes, adapter::service_result};

use crate::{failure::Failure, handler::result, request::receive};

/// Verifies and claims in front of any service. All event types are let through; the service takes
/// the event with an extractor.
///
/// A 2xx of the service completes the claim, anything else releases it, unless it is a permanent
/// [`Failure`](crate::Failure). The sender gets the receiver's answer, not the service's: see the
/// table in [`Outcome`](circa_receiver::Outcome).
///
/// ```
/// # use actix_web::{App, HttpResponse, web};
/// # use circa_receiver_actix::{AnyEvent, Receiver, ReceiverLayer, Secret};
/// async fn any(event: AnyEvent) -> HttpResponse {
///     println!("{:?}", event.kind());
///     HttpResponse::NoContent().finish()
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = Secret::new("whsec_test_0123456789abcdef")?;
/// let receiver = Receiver::circa(secret).build()?;
/// let resource = web::resource("/webhooks/circa").wrap(ReceiverLayer::new(receiver)).route(web::post().to(any));
/// let app = App::new().service(resource);
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

impl<S, B> Transform<S, ServiceRequest> for ReceiverLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Transform = ReceiverService<S>;
    type InitError = ();
    type Future = Ready<Result<ReceiverService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let all_to_it = Routes::new().insert_fallback(());
        let (receiver, routes) = (self.receiver.clone(), Rc::new(all_to_it));
        ready(Ok(ReceiverService { receiver, routes, service: Rc::new(service) }))
    }
}

/// A service behind a receiver: made by [`ReceiverLayer`].
pub struct ReceiverService<S> {
    receiver: Receiver,
    routes: Rc<Routes<()>>,
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for ReceiverService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<ServiceResponse, Error>>>>;

    /// Always ready: the service behind is only asked once an event is for it.
    fn poll_ready(&self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (receiver, routes, service) = (self.receiver.clone(), Rc::clone(&self.routes), Rc::clone(&self.service));
        Box::pin(async move {
            let (request, payload) = request.into_parts();
            let run = |(), request, payload| run(service, request, payload);
            match receive(receiver, &routes, request, payload, run).await {
                (response, Some(request)) => Ok(ServiceResponse::new(request, response)),
                // The service still has it: an error is the one way to answer without the request.
                (response, None) => {
                    Err(InternalError::from_response("the service has not given the request back", response).into())
                }
            }
        })
    }
}

/// What the service makes of the request, of which it may have the only copy; and the request, as
/// far as the service gives it back.
async fn run<S, B>(
    service: Rc<S>,
    request: HttpRequest,
    payload: Payload,
) -> (Option<HttpRequest>, Result<(), HandlerError>)
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    if let Err(error) = std::future::poll_fn(|cx| service.poll_ready(cx)).await {
        return (Some(request), Err(told(&error)));
    }
    match service.call(ServiceRequest::from_parts(request, payload)).await {
        Err(error) => (None, Err(told(&error))),
        Ok(response) => {
            let (request, response) = response.into_parts();
            (Some(request), result(response, |status, _, reason| service_result(status, reason)))
        }
    }
}

/// actix's errors stay on their thread: what they say goes on.
fn told(error: &Error) -> HandlerError {
    Failure::of(error).unwrap_or_else(|| HandlerError::retryable(error.to_string()))
}

impl<S> fmt::Debug for ReceiverService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverService").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}
