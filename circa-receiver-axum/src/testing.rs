//! For tests: an application in this process as the target of simulated senders and probes.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http,
    response::{IntoResponse, Response},
};
use circa_receiver::testing::{Answer, ProbeSigner, SimulatedBody, Target};
use tower_service::Service;

/// An axum `Router`, or any tower service that takes its requests, as a target: see [`target`].
#[derive(Clone, Debug)]
pub struct ServiceTarget<S>(S);

/// Makes a target of an axum `Router`, or of any tower service that takes its requests.
///
/// ```
/// use axum::Router;
/// use circa_receiver::testing::{CircaSimulator, HandlerRuns, TokioClock};
/// use circa_receiver_axum::{AnyEvent, Receiver, Secret, testing::target, webhook};
///
/// const SECRET: &str = "whsec_test_0123456789abcdef";
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # tokio::time::pause();
/// let (runs, clock) = (HandlerRuns::default(), TokioClock::starting_at(1747000800));
/// let handler = {
///     let runs = runs.clone();
///     async move |event: AnyEvent| runs.start(event.id()).succeed()
/// };
/// let receiver = Receiver::circa(Secret::new(SECRET)?).clock(clock).build()?;
/// let app = Router::new().route("/webhooks/circa", webhook(receiver).fallback(handler).into_route());
/// let ledger = CircaSimulator::new("/webhooks/circa", SECRET).clock(clock).run(target(app), &runs).await;
/// ledger.assert_nothing_lost();
/// ledger.assert_once();
/// # Ok(())
/// # }
/// ```
pub fn target<S>(service: S) -> ServiceTarget<S>
where
    S: Service<Request> + Clone,
    S::Response: IntoResponse,
{
    ServiceTarget(service)
}

/// Asserts that deliveries to this path of an application reach its receiver untouched. No handler
/// runs. Signed by the system's clock.
///
/// # Panics
///
/// With the [`MountFault`](circa_receiver::testing::MountFault) in words.
pub async fn assert_mounted<S>(service: S, path: &str, signer: &impl ProbeSigner)
where
    S: Service<Request> + Clone,
    S::Response: IntoResponse,
{
    circa_receiver::testing::assert_mounted(target(service), path, signer).await;
}

impl<S> Target for ServiceTarget<S>
where
    S: Service<Request> + Clone,
    S::Response: IntoResponse,
{
    async fn deliver(&self, request: http::Request<SimulatedBody>) -> Option<Answer> {
        let mut service = self.0.clone();
        std::future::poll_fn(|cx| service.poll_ready(cx)).await.ok()?;
        let response = service.call(request.map(Body::from_stream)).await.ok()?;
        answer(response.into_response()).await
    }
}

async fn answer(response: Response) -> Option<Answer> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.ok()?;
    let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    Some(Answer::new(parts.status.as_u16(), headers, body))
}
