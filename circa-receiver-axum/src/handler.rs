//! axum handlers as event handlers: which event type they take, and how they are run.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
};

use axum::{body::HttpBody, extract::Request, handler::Handler, http::header::RETRY_AFTER, response::Response};
use circa_receiver::{
    EventData, HandlerError, PortableHandler,
    adapter::{MAX_REASON_BYTES, extract, handler_result, is_failure},
};

use crate::{Event, failure::Failure};

type Running = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// A handler of any arguments, its type erased.
pub(crate) struct EventHandler<S>(Arc<dyn Fn(Request, S) -> Running + Send + Sync>);

impl<S: Clone + Send + Sync + 'static> EventHandler<S> {
    pub(crate) fn new<H: Handler<T, S>, T: 'static>(handler: H) -> Self {
        Self(Arc::new(move |request, state| {
            let response = handler.clone().call(request, state);
            Box::pin(async move { result(response.await, handler_result).await })
        }))
    }

    pub(crate) fn portable(handler: PortableHandler<S>) -> Self {
        Self(Arc::new(move |request, state| {
            let handler = handler.clone();
            Box::pin(async move { handler.call(extract(request.extensions().get())?, state).await })
        }))
    }

    pub(crate) fn call(&self, request: Request, state: S) -> Running {
        (self.0)(request, state)
    }
}

impl<S> Clone for EventHandler<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// What a response means: what its status and its `Retry-After` say, and the beginning of its text,
/// which is read where its size is known.
pub(crate) async fn result(
    response: Response,
    said: impl FnOnce(u16, Option<&[u8]>, Option<&str>) -> Result<(), HandlerError>,
) -> Result<(), HandlerError> {
    if let Some(error) = Failure::of(&response) {
        return Err(error);
    }
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).map(|value| value.as_bytes().to_owned());
    let mut body = response.into_body();
    let is_read = is_failure(status) && body.size_hint().exact().is_some();
    let mut text = Vec::new();
    while is_read && text.len() < MAX_REASON_BYTES {
        let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await else { break };
        text.extend(frame.into_data().unwrap_or_default().iter().take(MAX_REASON_BYTES));
    }
    said(status, retry_after.as_deref(), Some(&String::from_utf8_lossy(&text)))
}

/// A handler that a [`Webhook`](crate::Webhook) takes. Implemented for every axum handler.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a handler of events",
    note = "every argument is an extractor; that of the event is `circa_receiver_axum::Event<T>`, not `circa_receiver::Event<T>`",
    note = "what it returns implements `IntoResponse`; as an error `circa_receiver_axum::Failure` does, and `HandlerError` does not",
    note = "`#[axum::debug_handler]` in front of the handler tells more"
)]
pub trait HandlesEvents<T, S>: Handler<T, S> {}

#[diagnostic::do_not_recommend]
impl<H: Handler<T, S>, T, S> HandlesEvents<T, S> for H {}

/// The arguments of a handler, one of which, in any position, is an [`Event<T>`](Event).
///
/// Implemented for up to 16 arguments. `Position` is inferred.
#[diagnostic::on_unimplemented(
    message = "the handler has no argument `Event<T>`, so it does not tell its event type",
    note = "add an argument `circa_receiver_axum::Event<T>`, which is not `circa_receiver::Event<T>`, or register the handler with `.on_type(\"name\", handler)` or `.fallback(handler)`"
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
        impl<Via, $($before,)* Data: EventData, $($after,)*> TakesEvent<$position>
            for (Via, $($before,)* Event<Data>, $($after,)*)
        {
            type Data = Data;
        }

        takes_event! { [$($before)* $here] After<$position>; $($after)* }
    };
    ([$($before:ident)*] $position:ty;) => {};
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
takes_event! { [] First; A B C D E F G H I J K L M }
takes_event! { [] First; A B C D E F G H I J K L M N }
takes_event! { [] First; A B C D E F G H I J K L M N O }
takes_event! { [] First; A B C D E F G H I J K L M N O P }
