//! The mountable receiver: handlers by event type, as a route.

use std::{fmt, rc::Rc};

use actix_web::{FromRequest, HttpRequest, Route, web};
use circa_receiver::{PortableHandler, Receiver, Routes};

use crate::{
    handler::{EventHandler, HandlesEvents, TakesEvent},
    request::receive,
};

/// A receiver to be mounted as a route. Add handlers, then [`Webhook::into_route`].
pub fn webhook(receiver: Receiver) -> Webhook {
    Webhook { receiver, routes: Routes::new() }
}

/// A receiver with its handlers: made by [`webhook`].
#[must_use]
pub struct Webhook {
    receiver: Receiver,
    routes: Routes<EventHandler>,
}

impl Webhook {
    /// Runs the handler for the events of the type of its argument [`Event<T>`](crate::Event),
    /// which may stand in any position among its extractors.
    ///
    /// A [`Failure`](crate::Failure) says whether the event may be sent again; else the status of
    /// the response decides: 2xx is success, 4xx permanent, except 408, 423, 425 and 429, and
    /// everything else retryable.
    pub fn on<H, Args, Position>(mut self, handler: H) -> Self
    where
        H: HandlesEvents<Args>,
        Args: FromRequest + TakesEvent<Position> + 'static,
    {
        self.routes = self.routes.insert::<Args::Data>(EventHandler::new(handler));
        self
    }

    /// Runs the handler for the events of a type by its name, as it stands in the body.
    pub fn on_type<H: HandlesEvents<Args>, Args: FromRequest + 'static>(
        mut self,
        event_type: &str,
        handler: H,
    ) -> Self {
        self.routes = self.routes.insert_type(event_type, EventHandler::new(handler));
        self
    }

    /// Runs the handler for the events of all other types. Without a fallback they are ignored.
    pub fn fallback<H: HandlesEvents<Args>, Args: FromRequest + 'static>(mut self, handler: H) -> Self {
        self.routes = self.routes.insert_fallback(EventHandler::new(handler));
        self
    }

    /// A receiver with portable handlers and their state, instead of handlers of this framework.
    pub fn portable<S: Clone + Send + 'static>(
        receiver: Receiver,
        routes: Routes<PortableHandler<S>>,
        state: S,
    ) -> Self {
        Self { receiver, routes: routes.map(|handler| EventHandler::portable(handler, state.clone())) }
    }

    /// The route. Answers all methods; routes of your own that are added before it come first.
    ///
    /// # Panics
    ///
    /// If the handlers make no sense: two for one type, one for an event of the other sender, or
    /// none.
    #[track_caller]
    pub fn into_route(self) -> Route {
        if let Err(error) = self.receiver.check_routes(&self.routes) {
            panic!("{error}");
        }
        let (receiver, routes) = (self.receiver, Rc::new(self.routes));
        web::route().to(move |request: HttpRequest, payload: web::Payload| {
            let (receiver, routes) = (receiver.clone(), Rc::clone(&routes));
            async move {
                let run = async |handler: EventHandler, request, payload| (None, handler.call(request, payload).await);
                receive(receiver, &routes, request, payload.into_inner(), run).await.0
            }
        })
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("receiver", &self.receiver).field("routes", &self.routes).finish()
    }
}
