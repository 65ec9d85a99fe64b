//! The order of the checks, and the answer to each failure: contract, section 1.

mod body;
mod head;
mod places;
mod time;

use bytes::Bytes;
use circa_receiver::{
    AnyEvent, HandlerError, Receiver, ReceiverBuilder, Response, Routes, Secret, Sender,
    testing::{CircaSigner, CircularoSigner, FakeClock},
};

use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, FAILED, Fault, Gate, HANDLED, NOW, OTHER_SECRET, Request, SECRET, ScriptedStore, Step,
    UNAUTHORIZED, answer, circa, circa_body, circularo, circularo_body, seconds, settle,
};

use Flaw::*;

const LIMIT: usize = 1_024;

/// What can be wrong with a delivery, in the order in which it is found out.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Flaw {
    Method,
    Encoding,
    NoSignature,
    BlankSignature,
    TwoSignatures,
    Grammar,
    AnnouncedTooLarge,
    TooLarge,
    Slow,
    Broken,
    Mac,
    Stale,
    NoPlace,
    Payload,
    Headers,
    Unwanted,
    Store,
    Handler,
}

/// Contract, section 1: the table. `None` instead of a reason: an outcome, no rejection.
const TABLE: [(Flaw, Option<&str>, u16, &str); 18] = [
    (Method, Some("method_not_allowed"), 405, "method not allowed"),
    (Encoding, Some("unsupported_content_encoding"), 415, "unsupported media type"),
    (NoSignature, Some("missing_signature"), 401, "unauthorized"),
    (BlankSignature, Some("missing_signature"), 401, "unauthorized"),
    (TwoSignatures, Some("malformed_signature"), 401, "unauthorized"),
    (Grammar, Some("malformed_signature"), 401, "unauthorized"),
    (AnnouncedTooLarge, Some("payload_too_large"), 413, "payload too large"),
    (TooLarge, Some("payload_too_large"), 413, "payload too large"),
    (Slow, Some("body_read_timeout"), 408, "request timeout"),
    (Broken, Some("body_incomplete"), 400, "bad request"),
    (Mac, Some("signature_mismatch"), 401, "unauthorized"),
    (Stale, Some("timestamp_out_of_tolerance -301"), 401, "unauthorized"),
    (NoPlace, Some("overloaded"), 503, "service unavailable"),
    (Payload, Some("malformed_payload"), 400, "bad request"),
    (Headers, Some("header_body_mismatch"), 400, "bad request"),
    (Unwanted, None, 200, "ignored"),
    (Store, Some("store_unavailable"), 503, "service unavailable"),
    (Handler, None, 500, "internal server error"),
];

/// An endpoint that lets one request in at a time and dislikes what the flaws say.
fn endpoint(builder: ReceiverBuilder, flaws: &[Flaw]) -> Endpoint {
    let store = ScriptedStore::memory();
    if flaws.contains(&Store) {
        store.script("claim", Fault::Fail, usize::MAX);
    }
    let handler_fails = flaws.contains(&Handler);
    let handler = move |_: AnyEvent, (): ()| async move {
        if handler_fails { Err(HandlerError::retryable("whsec_ secrets of the handler")) } else { Ok(()) }
    };
    let routes = if flaws.contains(&Unwanted) {
        Routes::new().on_type("another.type", handler)
    } else {
        Routes::new().fallback(handler)
    };
    let routes = routes.on_type(HOLDER, hold);
    Endpoint::new(builder.body_limit(LIMIT).max_in_flight(1).dedup(store), routes)
}

/// A request with these flaws.
fn circa_request(flaws: &[Flaw]) -> (Request, Body) {
    let has = |flaw| flaws.contains(&flaw);
    let body = if has(Payload) { "{\"id\":\"evt_secret\"".to_owned() } else { circa_body("evt_1") };
    let signer = CircaSigner::new(if has(Mac) { OTHER_SECRET } else { SECRET });
    let at = if has(Stale) { NOW - 301 } else { NOW };
    let signature = signer.sign(at, body.as_bytes());
    finish(flaws, "Circa-Signature", &signature, "t=1,v1=0", body)
}

fn circularo_request(flaws: &[Flaw]) -> (Request, Body) {
    let has = |flaw| flaws.contains(&flaw);
    let body = if has(Payload) { "{\"documentId\":\"secret\"".to_owned() } else { circularo_body("doc") };
    let signer = CircularoSigner::new(if has(Mac) { OTHER_SECRET } else { SECRET });
    let signature = signer.sign(body.as_bytes());
    finish(flaws, "x-circularo-signature", &signature, "sha256=00", body)
}

fn finish(flaws: &[Flaw], name: &str, signature: &str, malformed: &str, body: String) -> (Request, Body) {
    let has = |flaw| flaws.contains(&flaw);
    let method = if has(Method) { "PUT" } else { "POST" };
    let mut request = Request { method, headers: Vec::new(), body: Bytes::from(body) };
    if has(Encoding) {
        request = request.header("Content-Encoding", "gzip");
    }
    request = match flaws.iter().find(|flaw| (NoSignature..=Grammar).contains(flaw)) {
        Some(NoSignature) => request,
        Some(BlankSignature) => request.header(name, " \t "),
        Some(TwoSignatures) => request.header(name, signature).header(name, signature),
        Some(_) => request.header(name, malformed),
        None => request.header(name, signature),
    };
    if has(AnnouncedTooLarge) {
        request = request.header("Content-Length", (LIMIT + 1).to_string());
    }
    if has(Headers) {
        request = request.header("Circa-Event-Id", "evt_of_an_intruder");
    }
    let mut steps = vec![Step::Chunk(request.body.clone())];
    if has(TooLarge) {
        steps.push(Step::Chunk(vec![b' '; LIMIT].into()));
    }
    if has(Slow) {
        steps.push(Step::Pause(seconds(11)));
    }
    if has(Broken) {
        steps.push(Step::Fail);
    }
    (request, Body::new(steps))
}

/// The type of an authentic event whose handler never ends: its delivery holds the only place.
const HOLDER: &str = "holder";

async fn hold(_: AnyEvent, (): ()) -> Result<(), HandlerError> {
    std::future::pending().await
}

/// Delivers, while another request holds the only place if the flaws say so.
async fn deliver(endpoint: &Endpoint, flaws: &[Flaw], request: Request, body: Body) -> Response {
    if !flaws.contains(&NoPlace) {
        return endpoint.deliver_with(&request, body).await;
    }
    let of_circa = endpoint.receiver.sender() == Sender::CIRCA;
    let held = if of_circa {
        format!(r#"{{"id":"evt_holder","type":"{HOLDER}"}}"#)
    } else {
        format!(r#"{{"documentId":"doc_holder","event":"{HOLDER}"}}"#)
    };
    let (name, signature) = if of_circa {
        ("Circa-Signature", CircaSigner::new(SECRET).sign(NOW, held.as_bytes()))
    } else {
        ("x-circularo-signature", CircularoSigner::new(SECRET).sign(held.as_bytes()))
    };
    let holder = Request { method: "POST", headers: Vec::new(), body: held.into() }.header(name, signature);
    let waiting = endpoint.spawn(&holder);
    settle().await;
    endpoint.notes.take();
    let response = endpoint.deliver_with(&request, body).await;
    waiting.abort();
    response
}

/// Contract, section 1: each failure with its reason and status, alone, with any one later failure,
/// and with all later failures at once.
async fn each_check_comes_before_all_later_ones(
    applicable: impl Fn(Flaw) -> bool,
    builder: fn() -> ReceiverBuilder,
    request: fn(&[Flaw]) -> (Request, Body),
) {
    let table: Vec<_> = TABLE.into_iter().filter(|(flaw, ..)| applicable(*flaw)).collect();
    let mut cases = 0;
    for (index, (first, reason, status, text)) in table.iter().enumerate() {
        let later: Vec<Flaw> = table[index + 1..].iter().map(|(flaw, ..)| *flaw).collect();
        let alone = std::iter::once(vec![]);
        let in_pairs = later.iter().map(|flaw| vec![*flaw]);
        for others in alone.chain(in_pairs).chain([later.clone()]) {
            let mut flaws: Vec<Flaw> = std::iter::once(*first).chain(others).collect();
            // While the slow body is waited for, a store that is away would refuse the delivery
            // that holds the place.
            flaws.retain(|flaw| *first != Slow || *flaw != Store);
            let endpoint = endpoint(builder(), &flaws);
            let (request, body) = request(&flaws);
            let response = deliver(&endpoint, &flaws, request, body).await;
            assert_eq!(endpoint.notes.reason().as_deref(), *reason, "{flaws:?}");
            assert_eq!(answer(&response), (*status, *text), "{flaws:?}");
            let special: Vec<_> = response.headers().filter(|(name, _)| *name != "content-type").collect();
            let expected = match first {
                Method => vec![("allow", "POST")],
                Unwanted => vec![("circa-receiver-outcome", "ignored")],
                _ => vec![],
            };
            assert_eq!(special, expected, "{flaws:?}");
            cases += 1;
        }
    }
    assert!(cases > 100, "{cases}");
}

#[tokio::test(start_paused = true)]
async fn each_check_comes_before_all_later_ones_for_circa() {
    each_check_comes_before_all_later_ones(|_| true, circa, circa_request).await;
}

#[tokio::test(start_paused = true)]
async fn each_check_comes_before_all_later_ones_for_circularo() {
    // Circularo signs no time and sends no unsigned labels.
    let applicable = |flaw| !matches!(flaw, Stale | Headers);
    each_check_comes_before_all_later_ones(applicable, circularo, circularo_request).await;
}

/// Contract, section 1: 200/202 answers say what happened in one header, `circa-receiver-outcome`;
/// each answer is exactly this.
#[tokio::test(start_paused = true)]
async fn the_answers_are_exactly_these() {
    let text = ("content-type", "text/plain; charset=utf-8");
    let endpoint = endpoint(circa(), &[]);
    let (request, _) = circa_request(&[]);
    for outcome in ["handled", "duplicate"] {
        let response = endpoint.deliver(&request).await;
        assert_eq!(answer(&response), (200, outcome));
        let headers: Vec<_> = response.headers().collect();
        assert_eq!(headers, [text, ("circa-receiver-outcome", outcome)]);
    }
    let (unsigned, _) = circa_request(&[NoSignature]);
    let headers: Vec<_> = endpoint.deliver(&unsigned).await.headers().collect();
    assert_eq!(headers, [text]);
}

/// Contract, section 1: all 401 answers are byte-identical, with no reason.
#[tokio::test(start_paused = true)]
async fn all_401_answers_are_byte_identical() {
    let mut answers = Vec::new();
    for flaw in [NoSignature, BlankSignature, TwoSignatures, Grammar, Mac, Stale] {
        let (request, body) = circa_request(&[flaw]);
        let endpoint = endpoint(circa(), &[flaw]);
        let response = endpoint.deliver_with(&request, body).await;
        answers.push((response.status(), response.headers().collect::<Vec<_>>(), response.body()));
    }
    for other in &answers {
        assert_eq!(other, &answers[0]);
    }
    assert_eq!(answers[0], (401, vec![("content-type", "text/plain; charset=utf-8")], "unauthorized"));
}

/// Contract, section 1: no answer ever repeats parser text, an internal error or anything of the
/// request.
#[tokio::test(start_paused = true)]
async fn no_answer_repeats_anything_of_the_request() {
    for (flaw, ..) in TABLE {
        let endpoint = endpoint(circa(), &[flaw]);
        let (request, body) = circa_request(&[flaw]);
        let request = request.header("User-Agent", "evt_marker").header("Circa-Webhook-Id", "evt_marker");
        let response = deliver(&endpoint, &[flaw], request, body).await;
        let said: String = response.headers().map(|(name, value)| format!("{name}: {value}\n")).collect();
        let said = format!("{said}{}", response.body());
        for leak in ["evt", "PUT", "gzip", "v1", "203.0.113.7", "column", "line", "scripted", "whsec_", "webhook.test"]
        {
            assert!(!said.contains(leak), "{flaw:?} repeats {leak:?}: {said}");
        }
    }
}

/// Contract, section 1: nothing is recorded from an unauthenticated delivery except counters by
/// reason.
#[tokio::test(start_paused = true)]
async fn of_an_unauthenticated_delivery_only_the_reason_is_told() {
    for (flaw, reason, ..) in TABLE.into_iter().take_while(|(flaw, ..)| *flaw <= Stale) {
        let endpoint = endpoint(circa().endpoint("billing"), &[flaw]);
        let (request, body) = circa_request(&[flaw]);
        let _ = deliver(&endpoint, &[flaw], request, body).await;
        // A diagnosis is made beside the answer: it may be told before the refusal or after it.
        let diagnoses = usize::from(flaw == Mac);
        assert_eq!(endpoint.diagnosed(diagnoses).await, diagnoses, "{flaw:?}");
        let (diagnosed, told): (Vec<_>, Vec<_>) =
            endpoint.notes.all().into_iter().partition(|line| line.starts_with("diagnosed"));
        assert!(diagnosed.iter().all(|line| line == "diagnosed Unexplained"), "{diagnosed:?}");
        let expected = ["received billing".to_owned(), format!("rejected {}", reason.unwrap())];
        assert_eq!(told, expected, "{flaw:?}");
    }
}

/// As above, for the dedup store: an event id of a forged delivery leaves no trace.
#[tokio::test(start_paused = true)]
async fn the_store_is_not_asked_before_everything_is_checked() {
    for (flaw, ..) in TABLE.into_iter().take_while(|(flaw, ..)| *flaw <= Unwanted) {
        let store = ScriptedStore::memory();
        let routes = Routes::new().on_type(if flaw == Unwanted { "another.type" } else { "webhook.test" }, handle);
        let routes = routes.on_type(HOLDER, hold);
        let endpoint = Endpoint::new(circa().body_limit(LIMIT).max_in_flight(1).dedup(store.clone()), routes);
        let (request, body) = circa_request(&[flaw]);
        let _ = deliver(&endpoint, &[flaw], request, body).await;
        // The delivery that holds the place has claimed its own event.
        assert_eq!(store.calls("claim"), usize::from(flaw == NoPlace), "{flaw:?}");
    }
}

async fn handle(_: AnyEvent, (): ()) -> Result<(), HandlerError> {
    Ok(())
}

/// Contract, section 2: an unsigned receiver exists only behind a constructor with `dangerous` in
/// its name. It does all other checks.
#[tokio::test(start_paused = true)]
async fn an_unsigned_receiver_does_all_other_checks() {
    for (flaw, reason, status, _) in TABLE {
        // What concerns the signature alone does not matter to it.
        let signature = matches!(flaw, NoSignature | BlankSignature | TwoSignatures | Grammar | Mac);
        if matches!(flaw, Stale | Headers) {
            continue;
        }
        let endpoint = endpoint(Receiver::dangerous_circularo_unsigned(), &[flaw]);
        let (request, body) = circularo_request(&[flaw]);
        let response = deliver(&endpoint, &[flaw], request, body).await;
        assert_eq!(response.status(), if signature { 200 } else { status }, "{flaw:?}");
        assert_eq!(endpoint.notes.reason().as_deref(), if signature { None } else { reason }, "{flaw:?}");
    }
}

/// The same receiver without a builder's conveniences: with [`Receiver::handle`] the order is the
/// same.
#[tokio::test]
async fn handle_is_the_same_pipeline() {
    let receiver =
        Receiver::circa(Secret::new(SECRET).unwrap()).clock(FakeClock::at(NOW)).body_limit(LIMIT).build().unwrap();
    let routes = Gate::open().routes();
    let request = Request::circa("evt_1");
    let handle = async |request: &Request| {
        let head = (request.method, &request.headers[..]);
        answer(&receiver.handle(&head, request.body.clone(), &routes, ()).await)
    };
    assert_eq!(handle(&request).await, HANDLED);
    assert_eq!(handle(&request).await, DUPLICATE);
    assert_eq!(handle(&Request::signed(vec![b' '; LIMIT + 1])).await, (413, "payload too large"));
    assert_eq!(handle(&request.clone().without("circa-signature")).await, UNAUTHORIZED);
    assert_ne!(handle(&Request::circa("evt_2")).await, FAILED);
}
