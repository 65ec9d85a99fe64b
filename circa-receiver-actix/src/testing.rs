//! For tests: an application in this process as the target of simulated senders and probes.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpResponse,
    body::{MessageBody, to_bytes},
    dev::{Payload, Service, ServiceResponse},
    error::PayloadError,
    test::TestRequest,
    web::Bytes,
};
use circa_receiver::testing::{Answer, ProbeSigner, SimulatedBody, Target};

/// An application under test as a target: see [`target`].
#[derive(Clone, Debug)]
pub struct ServiceTarget<S>(S);

/// Makes a target of an application under test: of what `actix_web::test::init_service` returns.
///
/// ```
/// use actix_web::{App, HttpResponse, test, web};
/// use circa_receiver::testing::{CircaSimulator, HandlerRuns, TokioClock};
/// use circa_receiver_actix::{AnyEvent, Receiver, Secret, testing::target, webhook};
///
/// const SECRET: &str = "whsec_test_0123456789abcdef";
///
/// async fn handler(runs: web::Data<HandlerRuns>, event: AnyEvent) -> HttpResponse {
///     runs.start(event.id()).succeed();
///     HttpResponse::NoContent().finish()
/// }
///
/// # #[actix_web::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// tokio::time::pause();
/// let (runs, clock) = (HandlerRuns::default(), TokioClock::starting_at(1747000800));
/// let receiver = Receiver::circa(Secret::new(SECRET)?).clock(clock).build()?;
/// let route = webhook(receiver).fallback(handler).into_route();
/// let app = App::new().app_data(web::Data::new(runs.clone())).route("/webhooks/circa", route);
/// let app = test::init_service(app).await;
/// let ledger = CircaSimulator::new("/webhooks/circa", SECRET).clock(clock).run(target(app), &runs).await;
/// ledger.assert_nothing_lost();
/// ledger.assert_once();
/// # Ok(())
/// # }
/// ```
pub fn target<S, R, B>(service: S) -> ServiceTarget<S>
where
    S: Service<R, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    ServiceTarget(service)
}

/// Asserts that deliveries to this path of an application reach its receiver untouched. No handler
/// runs. Signed by the system's clock.
///
/// # Panics
///
/// With the [`MountFault`](circa_receiver::testing::MountFault) in words.
pub async fn assert_mounted<S, B>(service: S, path: &str, signer: &impl ProbeSigner)
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    circa_receiver::testing::assert_mounted(target(service), path, signer).await;
}

impl<S, B> Target for ServiceTarget<S>
where
    S: Service<actix_http::Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    async fn deliver(&self, request: http::Request<SimulatedBody>) -> Option<Answer> {
        let (parts, body) = request.into_parts();
        let mut converted = TestRequest::with_uri(parts.uri.to_string().as_str())
            .method(actix_web::http::Method::from_bytes(parts.method.as_str().as_bytes()).ok()?);
        for (name, value) in &parts.headers {
            converted = converted.append_header((name.as_str(), value.as_bytes()));
        }
        let (converted, _) =
            converted.to_request().replace_payload(Payload::from(Box::pin(PayloadBody(body)) as BoxedPayload));
        match self.0.call(converted).await {
            Ok(response) => answer(response.into_parts().1).await,
            // The server makes the answer of an error.
            Err(error) => answer(error.error_response()).await,
        }
    }
}

async fn answer(response: HttpResponse<impl MessageBody>) -> Option<Answer> {
    let (head, body) = response.into_parts();
    let body = to_bytes(body).await.ok()?;
    let headers = head.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Some(Answer::new(head.status().as_u16(), headers, body))
}

type BoxedPayload = Pin<Box<dyn futures_core::Stream<Item = Result<Bytes, PayloadError>>>>;

/// A simulated body as actix's servers pass them on.
struct PayloadBody(SimulatedBody);

impl futures_core::Stream for PayloadBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map_err(PayloadError::Io)
    }
}
