//! actix handlers as event handlers: which event type they take, and how they are run.

use std::{convert::Infallible, future::Future, pin::Pin, rc::Rc};

use actix_web::{
    FromRequest, Handler, HttpMessage, HttpRequest, HttpResponse, Responder, body::MessageBody, dev::Payload,
    http::header::RETRY_AFTER,
};
use circa_receiver::{
    EventData, HandlerError, PortableHandler,
    adapter::{extract, handler_result, is_failure},
    event::WebhookTest,
};

use crate::{Event, failure::Failure};

type Running = Pin<Box<dyn Future<Output = Result<(), HandlerError>>>>;

/// A handler of any arguments, its type erased.
#[derive(Clone)]
pub(crate) struct EventHandler(Rc<dyn Fn(HttpRequest, Payload) -> Running>);

impl EventHandler {
    pub(crate) fn new<H: Handler<Args>, Args: FromRequest + 'static>(handler: H) -> Self
    where
        H::Output: Responder + 'static,
    {
        Self(Rc::new(move |request, mut payload| {
            let handler = handler.clone();
            Box::pin(async move {
                let response = match Args::from_request(&request, &mut payload).await {
                    Ok(args) => handler.call(args).await.respond_to(&request).map_into_boxed_body(),
                    Err(error) => HttpResponse::from_error(error),
                };
                result(response, handler_result)
            })
        }))
    }

    pub(crate) fn portable<S: Clone + Send + 'static>(handler: PortableHandler<S>, state: S) -> Self {
        Self(Rc::new(move |request, _| {
            let (handler, state) = (handler.clone(), state.clone());
            Box::pin(async move {
                let delivery = extract(request.extensions().get())?;
                handler.call(delivery, state).await
            })
        }))
    }

    pub(crate) fn call(&self, request: HttpRequest, payload: Payload) -> Running {
        (self.0)(request, payload)
    }
}

/// What a response means: what its status, its `Retry-After`, and its error or its text say, where
/// they are known.
pub(crate) fn result(
    response: HttpResponse<impl MessageBody>,
    said: impl FnOnce(u16, Option<&[u8]>, Option<&str>) -> Result<(), HandlerError>,
) -> Result<(), HandlerError> {
    let status = response.status().as_u16();
    if !is_failure(status) {
        return said(status, None, None);
    }
    let retry_after = response.headers().get(RETRY_AFTER).map(|value| value.as_bytes().to_owned());
    if let Some(error) = response.error() {
        let failed = || said(status, retry_after.as_deref(), Some(&error.to_string()));
        return Failure::of(error).map_or_else(failed, Err);
    }
    let text = response.into_body().try_into_bytes().unwrap_or_default();
    said(status, retry_after.as_deref(), Some(&String::from_utf8_lossy(&text)))
}

/// A handler that a [`Webhook`](crate::Webhook) takes. Implemented for every actix handler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of events",
    note = "every argument is an extractor; that of the event is `circa_receiver_actix::Event<T>`, not `circa_receiver::Event<T>`",
    note = "what it returns implements `Responder`, which `()` does not; as an error `circa_receiver_actix::Failure` does, and `HandlerError` does not"
)]
pub trait HandlesEvents<Args>: Handler<Args, Output: Responder + 'static> {}

#[diagnostic::do_not_recommend]
impl<H: Handler<Args, Output: Responder + 'static>, Args> HandlesEvents<Args> for H {}

/// The arguments of a handler, one of which, in any position, is an [`Event<T>`](Event).
///
/// Implemented for up to 12 arguments. `Position` is inferred.
#[diagnostic::on_unimplemented(
    message = "the handler has no argument `Event<T>`, so it does not tell its event type",
    note = "add an argument `circa_receiver_actix::Event<T>`, which is not `circa_receiver::Event<T>`, or register the handler with `.on_type(\"name\", handler)` or `.fallback(handler)`"
)]
pub trait TakesEvent<Position> {
    /// The data of the event.
    type Data: EventData;
}

/// The position of the event: the first argument.
#[derive(Debug)]
pub struct First;

/// The position of the event: one after.
#[derive(Debug)]
pub struct After<Position>(Position);

macro_rules! takes_event {
    ([$($before:ident)*] $position:ty; $here:ident $($after:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<$($before,)* Data: EventData, $($after,)*> TakesEvent<$position>
            for ($($before,)* Event<Data>, $($after,)*)
        {
            type Data = Data;
        }

        takes_event! { [$($before)* $here] After<$position>; $($after)* }
    };
    ([$($before:ident)*] $position:ty;) => {};
}

/// A second implementation for a handler of one argument: where there is only one, the compiler
/// takes it for the arguments of every such handler, and reports a mismatch of function types
/// instead of the message above.
#[diagnostic::do_not_recommend]
impl TakesEvent<First> for (Infallible,) {
    type Data = WebhookTest;
}

takes_event! { [] First; A }
takes_event! { [] First; A B }
takes_event! { [] First; A B C }
takes_event! { [] First; A B C D }
takes_event! { [] First; A B C D E }
takes_event! { [] First; A B C D E F }
takes_event! { [] First; A B C D E F G }
takes_event! { [] First; A B C D E F G H }
takes_event! { [] First; A B C D E F G H I }
takes_event! { [] First; A B C D E F G H I J }
takes_event! { [] First; A B C D E F G H I J K }
takes_event! { [] First; A B C D E F G H I J K L }
