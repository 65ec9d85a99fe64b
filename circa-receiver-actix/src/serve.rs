//! One request: read it, call the core, spawn, write the answer.

use std::{cell::Cell, future::Future, pin::pin, rc::Rc};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    rt,
};
use circa_receiver::{HandlerError, Head, Receiver, Reception, Routes};

/// Receives a request, and runs what is wanted in a task of its own. The request comes back too, unless that task still has it.
pub(crate) async fn serve<H, F>(
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
    let mut payload = pin!(payload);
    match receiver.receive(&RequestHead(&request), payload.as_mut(), routes).await {
        Reception::Answered(response) => (convert(response), Some(request)),
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
}

fn convert(response: circa_receiver::Response) -> HttpResponse {
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
