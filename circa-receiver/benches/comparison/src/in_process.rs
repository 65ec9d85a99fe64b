//! Routes in process, without sockets: a bare one that reads the body, one that verifies, one that decodes a typed event, and the receiver's own.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use circa_receiver::{Clock, Event, Rejection, Secret, SystemClock, Verified, Verifier, event::DatapointPulled};

use crate::{
    measure::{
        SECRET, headers,
        pipeline::{Delivery, Source},
        promise::Promise,
        rounds::{Candidate, Measured, compare, timed},
        size,
        table::Table,
    },
    part::Part,
};

const BUDGET: Duration = Duration::from_secs(3);
const SIZES: [usize; 2] = [300, 4_096];
const PATH: &str = "/webhooks/circa";

pub fn run() -> Part {
    let mut part = Part::new("in-process");
    let columns = ["framework", "body", "route", "ns", "min", "median", "allocations"];
    let mut table = Table::new("Routes in process; ratios to the bare route", &columns);
    for (framework, candidates, limit) in [("axum", axum::candidates as Make, 1.3), ("actix", actix::candidates, 1.2)] {
        for bytes in SIZES {
            let source = Source::new(bytes);
            for Measured { name, nanoseconds, min, median, allocations } in compare(&candidates(&source), BUDGET) {
                if name == VERIFIED && bytes == 300 {
                    let what =
                        format!("{framework}, in process, {}: verification only, to the bare route", size(bytes));
                    part.promises.push(Promise::at_most(what, limit, median));
                }
                let figures = [nanoseconds.round(), min, median, allocations].map(Into::into);
                table.row([framework.into(), size(bytes).into(), name.into()].into_iter().chain(figures));
            }
        }
    }
    part.tables.push(table);
    part
}

type Make = for<'a> fn(&'a Source) -> Vec<Candidate<'a>>;

const BARE: &str = "bare";
/// How the route is called in tables that only verifies.
pub const VERIFIED: &str = "verification only";
const TYPED: &str = "verification and typed event";
const WHOLE: &str = "receiver, complete";

fn verifier() -> Arc<Verifier> {
    Arc::new(Verifier::circa(Secret::new(SECRET).expect("the secret is long enough")))
}

/// What a handler does that only verifies.
fn verified<'h>(
    verifier: &Verifier,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    body: Bytes,
) -> Result<Verified<'h, Bytes>, Rejection> {
    let now = SystemClock.unix_seconds().map_err(|_| Rejection::Clock)?;
    verifier.verify(headers, body, now)
}

/// What a handler does that wants a typed event.
fn typed(verified: Verified<'_, Bytes>) -> Option<Event<DatapointPulled>> {
    Event::try_from(verified.event().ok()?).ok()
}

/// The status of a handler of one's own.
fn status(accepted: bool) -> u16 {
    if accepted { 204 } else { 401 }
}

/// Makes the request, as a server does for each delivery, and calls the route. The answers must be 2xx.
fn over<'a, R, F: Future<Output = u16>>(
    name: &str,
    source: &'a Source,
    runtime: impl Fn(std::pin::Pin<Box<dyn Future<Output = ()> + '_>>) + 'a,
    request: impl Fn(&Delivery) -> R + 'a,
    call: impl Fn(R) -> F + 'a,
) -> Candidate<'a> {
    Candidate::in_bulk(name, move |calls| {
        let deliveries: Vec<Delivery> = (0..calls).map(|_| source.fresh()).collect();
        timed(|| {
            runtime(Box::pin(async {
                for delivery in &deliveries {
                    let status = call(request(delivery)).await;
                    assert!((200..300).contains(&status), "{status}");
                }
            }));
        })
    })
}

mod axum {
    use std::rc::Rc;

    use ::axum::{
        Router,
        body::{Body, to_bytes},
        extract::{Request, State},
        http::{HeaderName, StatusCode},
        routing::post,
    };
    use circa_receiver_axum::{Event, Receiver, webhook};
    use tower::ServiceExt;

    use super::*;

    /// All that is needed to verify.
    static SIGNATURE: HeaderName = HeaderName::from_static("circa-signature");

    pub fn candidates(source: &Source) -> Vec<Candidate<'_>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let runtime = Rc::new(runtime);
        let receiver = Receiver::circa(Secret::new(SECRET).expect("a good secret")).build().expect("the defaults");
        let routes = [
            (BARE, post(async |_: Bytes| StatusCode::NO_CONTENT)),
            (VERIFIED, post(verification).with_state(verifier())),
            (TYPED, post(typed_event).with_state(verifier())),
            (WHOLE, webhook(receiver).on(async |Event(event): Event<DatapointPulled>| drop(event)).into_route()),
        ];
        routes
            .into_iter()
            .map(|(name, route)| {
                let app: Router = Router::new().route(PATH, route);
                let runtime = Rc::clone(&runtime);
                let call = move |request: Request| {
                    let app = app.clone();
                    async move {
                        let Ok(response) = app.oneshot(request).await;
                        response.status().as_u16()
                    }
                };
                over(name, source, move |run| runtime.block_on(run), request, call)
            })
            .collect()
    }

    fn request(Delivery { id, body, header }: &Delivery) -> Request {
        let length = body.len().to_string();
        let request = Request::post(PATH);
        headers(&length, id, header)
            .into_iter()
            .fold(request, |request, (name, value)| request.header(name, value))
            .body(Body::from(body.clone()))
            .expect("a good request")
    }

    async fn verification(State(verifier): State<Arc<Verifier>>, request: Request) -> StatusCode {
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, 1 << 20).await else { return StatusCode::BAD_REQUEST };
        let signatures = parts.headers.get_all(&SIGNATURE);
        let signatures = signatures.iter().map(|value| (SIGNATURE.as_str(), value.as_bytes()));
        let accepted = verified(&verifier, signatures, body).is_ok();
        StatusCode::from_u16(status(accepted)).expect("HTTP's")
    }

    async fn typed_event(State(verifier): State<Arc<Verifier>>, request: Request) -> StatusCode {
        let (parts, body) = request.into_parts();
        let Ok(body) = to_bytes(body, 1 << 20).await else { return StatusCode::BAD_REQUEST };
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        let event = verified(&verifier, headers, body).ok().and_then(typed);
        StatusCode::from_u16(status(event.is_some())).expect("HTTP's")
    }
}

mod actix {
    use std::rc::Rc;

    use actix_web::{
        App, HttpRequest, HttpResponse, Route,
        dev::Service,
        http::{StatusCode, header::HeaderName},
        rt::System,
        test::{TestRequest, init_service},
        web,
    };
    use circa_receiver_actix::{Event, Receiver, webhook};

    use super::*;

    /// All that is needed to verify.
    static SIGNATURE: HeaderName = HeaderName::from_static("circa-signature");

    pub fn candidates(source: &Source) -> Vec<Candidate<'_>> {
        let system = Rc::new(System::new());
        let receiver = Receiver::circa(Secret::new(SECRET).expect("a good secret")).build().expect("the defaults");
        let routes: [(&str, Route); 4] = [
            (BARE, web::post().to(async |_: web::Bytes| HttpResponse::NoContent())),
            (VERIFIED, web::post().to(verification(verifier()))),
            (TYPED, web::post().to(typed_event(verifier()))),
            (WHOLE, webhook(receiver).on(async |_: Event<DatapointPulled>| HttpResponse::NoContent()).into_route()),
        ];
        routes
            .into_iter()
            .map(|(name, route)| {
                let app = Rc::new(system.block_on(init_service(App::new().route(PATH, route))));
                let system = Rc::clone(&system);
                let call = move |request| {
                    let response = app.call(request);
                    async move { response.await.expect("it answers").status().as_u16() }
                };
                over(name, source, move |run| system.block_on(run), request, call)
            })
            .collect()
    }

    fn request(Delivery { id, body, header }: &Delivery) -> actix_http::Request {
        let length = body.len().to_string();
        headers(&length, id, header)
            .into_iter()
            .fold(TestRequest::post().uri(PATH), |request, header| request.insert_header(header))
            .set_payload(body.clone())
            .to_request()
    }

    fn verification(
        verifier: Arc<Verifier>,
    ) -> impl Fn(HttpRequest, web::Bytes) -> std::future::Ready<HttpResponse> + Clone {
        move |request, body| {
            let signatures = request.headers().get_all(&SIGNATURE);
            let signatures = signatures.map(|value| (SIGNATURE.as_str(), value.as_bytes()));
            answer(verified(&verifier, signatures, body).is_ok())
        }
    }

    fn typed_event(
        verifier: Arc<Verifier>,
    ) -> impl Fn(HttpRequest, web::Bytes) -> std::future::Ready<HttpResponse> + Clone {
        move |request, body| {
            let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            answer(verified(&verifier, headers, body).ok().and_then(typed).is_some())
        }
    }

    fn answer(accepted: bool) -> std::future::Ready<HttpResponse> {
        std::future::ready(HttpResponse::new(StatusCode::from_u16(status(accepted)).expect("HTTP's")))
    }
}
