//! What the tests of the inbox share: a receiver with an inbox, and its worker.

use std::{future::Future, sync::Arc};

use circa_receiver::{
    AnyEvent, Delivery, HandlerError, PortableHandler, Routes, Worker, WorkerBuilder,
    inbox::{Inbox, Stats},
};

use crate::support::receiving::{Endpoint, Request, ScriptedInbox, answer, circa, routes};

/// A receiver with an inbox, and what its worker runs.
pub(super) struct Bench {
    pub(super) endpoint: Endpoint,
    pub(super) inbox: ScriptedInbox,
}

impl Bench {
    /// A receiver for Circa's events, all of which go to the handler.
    pub(super) fn new<F, Fut>(handler: F) -> Self
    where
        F: Fn(AnyEvent) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self::with_routes(routes(handler))
    }

    pub(super) fn with_routes(routes: Routes<PortableHandler<()>>) -> Self {
        let inbox = ScriptedInbox::new();
        Self { endpoint: Endpoint::new(circa().inbox(inbox.clone()), routes), inbox }
    }

    /// A receiver whose deliveries wait for their runs.
    pub(super) fn answering_when_handled(routes: Routes<PortableHandler<()>>) -> Self {
        let inbox = ScriptedInbox::new();
        let builder = circa().inbox(inbox.clone()).answer_when_handled();
        Self { endpoint: Endpoint::new(builder, routes), inbox }
    }

    /// The same receiver in another process, with a worker's routes of its own.
    pub(super) fn in_another_process(&self, routes: Routes<PortableHandler<()>>) -> Self {
        let inbox = self.inbox.of_another_process();
        Self { endpoint: Endpoint::new(circa().inbox(inbox.clone()), routes), inbox }
    }

    pub(super) fn builder(&self) -> WorkerBuilder {
        let routes = Arc::clone(&self.endpoint.routes);
        // The routes are not to be had twice; their handlers are.
        let all = Routes::new().fallback(move |delivery: Delivery, (): ()| {
            let handler = routes.find(delivery.event().event_type()).cloned();
            async move {
                match handler {
                    Some(handler) => handler.call(delivery, ()).await,
                    None => Ok(()),
                }
            }
        });
        self.endpoint.receiver.worker(all, ()).unwrap()
    }

    pub(super) fn worker(&self) -> Worker {
        self.builder().build().unwrap()
    }

    /// Starts a worker.
    pub(super) fn start(&self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(self.worker().run())
    }

    pub(super) async fn deliver(&self, id: &str) -> (u16, &'static str) {
        answer(&self.endpoint.deliver(&Request::circa(id)).await)
    }

    pub(super) async fn stats(&self) -> Stats {
        self.inbox.stats("circa").await.unwrap()
    }
}
