//! The mountable receiver: handlers by event type, as a route.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use axum::{
    extract::Request,
    handler::Handler,
    response::Response,
    routing::{MethodRouter, post},
};
use circa_receiver::{PortableHandler, Receiver, Routes, WorkerBuilder, adapter::StoredHandler};

use crate::{
    handler::{EventHandler, HandlesEvents, TakesEvent},
    request::{receive, stored},
};

/// A receiver to be mounted as a route. Add handlers, then [`Webhook::with_state`] or
/// [`Webhook::into_route`].
pub fn webhook<S>(receiver: Receiver) -> Webhook<S> {
    Webhook { receiver, routes: Routes::new() }
}

/// A receiver with its handlers: made by [`webhook`].
#[must_use]
pub struct Webhook<S = ()> {
    receiver: Receiver,
    routes: Routes<EventHandler<S>>,
}

impl<S: Clone + Send + Sync + 'static> Webhook<S> {
    /// Runs the handler for the events of the type of its argument [`Event<T>`](crate::Event),
    /// which may stand in any position among its extractors.
    ///
    /// A [`Failure`](crate::Failure) says whether the event may be sent again; else the status of
    /// the response decides: 2xx is success, 4xx permanent, except 408, 423, 425 and 429, and
    /// everything else retryable.
    pub fn on<H, T, Position>(mut self, handler: H) -> Self
    where
        H: HandlesEvents<T, S>,
        T: TakesEvent<Position> + 'static,
    {
        self.routes = self.routes.insert::<T::Data>(EventHandler::new(handler));
        self
    }

    /// Runs the handler for the events of a type by its name, as it stands in the body.
    pub fn on_type<H: HandlesEvents<T, S>, T: 'static>(mut self, event_type: &str, handler: H) -> Self {
        self.routes = self.routes.insert_type(event_type, EventHandler::new(handler));
        self
    }

    /// Runs the handler for the events of all other types. Without a fallback they are ignored.
    pub fn fallback<H: HandlesEvents<T, S>, T: 'static>(mut self, handler: H) -> Self {
        self.routes = self.routes.insert_fallback(EventHandler::new(handler));
        self
    }

    /// A receiver with portable handlers, instead of handlers of this framework.
    pub fn portable(receiver: Receiver, routes: Routes<PortableHandler<S>>) -> Self {
        Self { receiver, routes: routes.map(EventHandler::portable) }
    }

    /// The route, its handlers bound to this state. Answers all methods; add your own with
    /// `.get(..)` and the like, which then come first.
    ///
    /// # Panics
    ///
    /// If the handlers make no sense: two for one type, one for an event of the other sender, or
    /// none.
    #[track_caller]
    pub fn with_state<R>(self, state: S) -> MethodRouter<R> {
        self.into_route().with_state(state)
    }

    /// For a receiver with an inbox: the route, which accepts, and a worker that runs the same
    /// handlers with this state.
    ///
    /// A handler is run with a request made from what was stored: POST, the path, the exact body,
    /// the event, and of the header fields `content-type`, `user-agent`, `traceparent`,
    /// `tracestate` and the sender's own, without the signature. What middleware adds to requests
    /// is not there.
    ///
    /// ```
    /// # use axum::Router;
    /// # use circa_receiver_axum::{Event, Receiver, Secret, event::WebhookTest, webhook};
    /// # use circa_receiver_axum::circa_receiver::{BoxError, testing::MemoryInbox};
    /// # async fn tested(Event(event): Event<WebhookTest>) {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// # let secret = Secret::new("whsec_test_0123456789abcdef")?;
    /// # let inbox = MemoryInbox::default();
    /// let receiver = Receiver::circa(secret).inbox(inbox).build()?;
    /// let (route, worker) = webhook(receiver).on(tested).with_worker(());
    /// tokio::spawn(worker.build()?.run()); // ends with `receiver.shutdown()`
    /// let app: Router = Router::new().route("/webhooks/circa", route);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// As [`Webhook::with_state`], and if the receiver has no inbox.
    #[track_caller]
    pub fn with_worker<R>(self, state: S) -> (MethodRouter<R>, WorkerBuilder) {
        let own = state.clone();
        let handlers = self.routes.clone().map(|handler| {
            let state = own.clone();
            StoredHandler::new(move |delivery, head| handler.call(stored(delivery, &head), state.clone()))
        });
        match self.receiver.worker_of_stored(handlers) {
            Ok(worker) => (self.with_state(state), worker),
            Err(error) => panic!("{error}"),
        }
    }

    /// The route, its handlers taking their state from the `Router`.
    ///
    /// # Panics
    ///
    /// As [`Webhook::with_state`].
    #[track_caller]
    pub fn into_route(self) -> MethodRouter<S> {
        if let Err(error) = self.receiver.check_routes(&self.routes) {
            panic!("{error}");
        }
        let mounted = Mounted { receiver: self.receiver, routes: Arc::new(self.routes) };
        post(mounted.clone()).fallback(mounted)
    }
}

impl<S> fmt::Debug for Webhook<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("receiver", &self.receiver).field("routes", &self.routes).finish()
    }
}

struct Mounted<S> {
    receiver: Receiver,
    routes: Arc<Routes<EventHandler<S>>>,
}

impl<S> Clone for Mounted<S> {
    fn clone(&self) -> Self {
        Self { receiver: self.receiver.clone(), routes: Arc::clone(&self.routes) }
    }
}

impl<S: Clone + Send + Sync + 'static> Handler<(), S> for Mounted<S> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: S) -> Self::Future {
        Box::pin(receive(self.receiver, self.routes, request, |handler, request| handler.call(request, state)))
    }
}
