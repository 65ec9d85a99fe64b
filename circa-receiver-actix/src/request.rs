//! One request: read it, call the core, spawn, write the answer.

use std::{
    cell::Cell,
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::Payload,
    http::{
        StatusCode, Version,
        header::{HeaderName, HeaderValue},
    },
    rt,
    web::Bytes,
};
use circa_receiver::{
    HandlerError, Receiver, Routes,
    adapter::{Drain, Drainable, Head, Reception, TENANT},
};

/// Receives a request, and runs what is wanted in a task of its own. The request comes back too,
/// unless that task still has it.
pub(crate) async fn receive<H, F>(
    receiver: Receiver,
    routes: &Routes<H>,
    request: HttpRequest,
    payload: Payload,
    run: impl FnOnce(H, HttpRequest, Payload) -> F + 'static,
) -> (HttpResponse, Option<HttpRequest>)
where
    H: Clone + 'static,
    F: Future<Output = (Option<HttpRequest>, Result<(), HandlerError>)> + 'static,
{
    if Closing::is_set(&request) {
        // The answer before it is written meanwhile.
        tokio::task::yield_now().await;
        return (HttpResponse::new(StatusCode::default()).set_body(BoxBody::new(AbortingBody)), Some(request));
    }
    let mut payload = Drainable::new(payload);
    match receiver.receive(&RequestHead(&request), Pin::new(&mut payload), routes).await {
        Reception::Answered(response) => {
            let mut converted = convert(response);
            // Only HTTP/1 needs the body's end to end the connection in peace.
            if response.closes_connection() && request.version() < Version::HTTP_2 {
                Closing::set(&request);
                if let Some(drain) = payload.drain() {
                    let body = Bytes::from_static(response.body().as_bytes());
                    converted = converted.set_body(BoxBody::new(DrainingBody { text: Some(body), drain }));
                }
            }
            (converted, Some(request))
        }
        Reception::Admitted(admitted, handler) => {
            let handler = handler.clone();
            let kept = Rc::new(Cell::new(Some(request)));
            let lent = Rc::clone(&kept);
            let (task, answer) = admitted.run(async move |delivery| {
                let request = lent.take().ok_or("the request is gone")?;
                let payload = Payload::from(delivery.body().clone());
                request.extensions_mut().insert(delivery);
                let (request, result) = run(handler, request, payload).await;
                lent.set(request);
                result
            });
            let response = convert(answer.wait_for(rt::spawn(task)).await);
            // A task that has not ended may yet need the request.
            let ended = Rc::strong_count(&kept) == 1;
            (response, if ended { kept.take() } else { None })
        }
    }
}

struct RequestHead<'r>(&'r HttpRequest);

impl Head for RequestHead<'_> {
    fn method(&self) -> &str {
        self.0.method().as_str()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    fn tenant(&self) -> Option<&str> {
        self.0.match_info().get(TENANT)
    }

    fn path(&self) -> &str {
        self.0.path()
    }
}

pub(crate) fn convert(response: circa_receiver::Response) -> HttpResponse {
    let mut converted =
        HttpResponse::build(StatusCode::from_u16(response.status()).expect("the core's statuses are HTTP's"));
    for (name, value) in response.headers() {
        converted.insert_header((HeaderName::from_static(name), HeaderValue::from_static(value)));
    }
    if response.closes_connection() {
        converted.force_close();
    }
    converted.body(response.body())
}

/// The answer's body, which only ends when what is left of the request's body is drained: actix-web
/// closes the connection there. It reads no request's body after the end of its answer, and one
/// that was dropped without an end.
struct DrainingBody {
    text: Option<Bytes>,
    drain: Drain<Payload>,
}

impl MessageBody for DrainingBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.as_ref().map_or(0, |text| text.len() as u64))
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        if let Some(text) = self.text.take() {
            return Poll::Ready(Some(Ok(text)));
        }
        ready!(Pin::new(&mut self.drain).poll(cx));
        Poll::Ready(None)
    }
}

/// Kept by the server for each connection: whether an answer has said that it closes. actix-web
/// would go on with what was pipelined behind it.
#[derive(Debug, Default)]
pub(crate) struct Closing(Cell<bool>);

impl Closing {
    fn is_set(request: &HttpRequest) -> bool {
        request.conn_data().is_some_and(|Self(is_set)| is_set.get())
    }

    fn set(request: &HttpRequest) {
        if let Some(Self(is_set)) = request.conn_data() {
            is_set.set(true);
        }
    }
}

/// Ends the connection without an answer.
struct AbortingBody;

impl MessageBody for AbortingBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())))
    }
}
