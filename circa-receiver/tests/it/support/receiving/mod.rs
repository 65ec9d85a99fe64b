//! What the tests of the receiver share: a receiver with its routes and an observer, and what they
//! are given.

mod body;
mod gate;
mod notes;
mod request;
mod script;
mod scripted_inbox;
mod scripted_store;

use std::{future::Future, sync::Arc, time::Duration};

use circa_receiver::{
    AnyEvent, HandlerError, PortableHandler, Receiver, ReceiverBuilder, Response, Routes, Secret, adapter::Reception,
    testing::TokioClock,
};
use tokio::task::JoinHandle;

pub(crate) use self::{
    body::{Body, Step},
    gate::Gate,
    notes::Notes,
    request::{Request, circa_body, circularo_body},
    script::Fault,
    scripted_inbox::ScriptedInbox,
    scripted_store::ScriptedStore,
};

pub(crate) const SECRET: &str = "whsec_test_0123456789abcdef";
pub(crate) const OTHER_SECRET: &str = "whsec_other_0123456789abcdef";
pub(crate) const NOW: i64 = 1_747_000_800;

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A receiver with its routes, and what its observer was told.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) receiver: Receiver,
    pub(crate) routes: Arc<Routes<PortableHandler<()>>>,
    pub(crate) notes: Notes,
}

impl Endpoint {
    pub(crate) fn new(builder: ReceiverBuilder, routes: Routes<PortableHandler<()>>) -> Self {
        let notes = Notes::default();
        let receiver = builder.observer(notes.clone()).build().unwrap();
        Self { receiver, routes: Arc::new(routes), notes }
    }

    pub(crate) async fn deliver(&self, request: &Request) -> Response {
        self.deliver_with(request, Body::whole(request.body.clone())).await
    }

    /// Waits until so many diagnoses are told, on a thread of their own; how many were.
    pub(crate) async fn diagnosed(&self, times: usize) -> usize {
        // Behind it on a thread of the pool, or beside it on another one.
        for _ in 0..100_000 {
            if self.notes.count("diagnosed") >= times {
                break;
            }
            tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_micros(100))).await.unwrap();
        }
        settle().await;
        self.notes.count("diagnosed")
    }

    /// As an adapter does it: receive, spawn the task, await the answer.
    pub(crate) async fn deliver_with(&self, request: &Request, body: Body) -> Response {
        let head = (request.method, &request.headers[..]);
        match self.receiver.receive(&head, body, &self.routes).await {
            Reception::Answered(response) => response,
            Reception::Admitted(admitted, handler) => {
                let handler = handler.clone();
                let (task, answer) = admitted.run(move |delivery| handler.call(delivery, ()));
                answer.wait_for(tokio::spawn(task)).await
            }
        }
    }

    /// Delivers in the background.
    pub(crate) fn spawn(&self, request: &Request) -> JoinHandle<Response> {
        let (endpoint, request) = (self.clone(), request.clone());
        tokio::spawn(async move { endpoint.deliver(&request).await })
    }
}

/// A builder for Circa on a clock that goes with tokio's.
pub(crate) fn circa() -> ReceiverBuilder {
    Receiver::circa(Secret::new(SECRET).unwrap()).clock(TokioClock::starting_at(NOW))
}

/// A builder for Circularo on a clock that goes with tokio's.
pub(crate) fn circularo() -> ReceiverBuilder {
    Receiver::circularo(Secret::new(SECRET).unwrap()).clock(TokioClock::starting_at(NOW))
}

/// One handler for all events.
pub(crate) fn routes<F, Fut>(handler: F) -> Routes<PortableHandler<()>>
where
    F: Fn(AnyEvent) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
{
    Routes::new().fallback(move |event: AnyEvent, (): ()| handler(event))
}

/// Status and body of an answer; of a 2xx, the body is the outcome's name.
pub(crate) fn answer(response: &Response) -> (u16, &'static str) {
    (response.status(), response.body())
}

/// The value of a header of an answer.
pub(crate) fn header(response: &Response, name: &str) -> Option<&'static str> {
    response.headers().find(|(other, _)| *other == name).map(|(_, value)| value)
}

pub(crate) const ACCEPTED: (u16, &str) = (202, "accepted");
pub(crate) const HANDLED: (u16, &str) = (200, "handled");
pub(crate) const DUPLICATE: (u16, &str) = (200, "duplicate");
pub(crate) const IGNORED: (u16, &str) = (200, "ignored");
pub(crate) const DEAD_LETTERED: (u16, &str) = (200, "dead-lettered");
pub(crate) const FAILED: (u16, &str) = (500, "internal server error");
pub(crate) const UNAVAILABLE: (u16, &str) = (503, "service unavailable");
pub(crate) const UNAUTHORIZED: (u16, &str) = (401, "unauthorized");

/// Lets everything that is ready run, without moving the time.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
