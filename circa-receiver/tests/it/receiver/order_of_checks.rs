//! The order of the checks, and the answer to each failure: contract, section 1.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, FAILED, Fault, Gate, HANDLED, IGNORED, NOW, OTHER_SECRET, Request, SECRET,
    ScriptedStore, Step, UNAUTHORIZED, UNAVAILABLE, answer, circa, circa_body, circularo, circularo_body, header,
    routes, seconds, settle,
};
use bytes::Bytes;
use circa_receiver::{
    AnyEvent, Builder, HandlerError, Mode, Receiver, Response, Routes, Secret, Sender,
    testing::{CircaSigner, CircularoSigner, FakeClock},
};
use tokio::time::Instant;

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
    NoPlace,
    AnnouncedTooLarge,
    TooLarge,
    Slow,
    Broken,
    Mac,
    Stale,
    Payload,
    Headers,
    Unwanted,
    Store,
    Handler,
}

use Flaw::*;

/// Contract, section 1: the table. `None` instead of a reason: an outcome, no rejection.
const TABLE: [(Flaw, Option<&str>, u16, &str); 18] = [
    (Method, Some("method_not_allowed"), 405, "method not allowed"),
    (Encoding, Some("unsupported_content_encoding"), 415, "unsupported media type"),
    (NoSignature, Some("missing_signature"), 401, "unauthorized"),
    (BlankSignature, Some("missing_signature"), 401, "unauthorized"),
    (TwoSignatures, Some("malformed_signature"), 401, "unauthorized"),
    (Grammar, Some("malformed_signature"), 401, "unauthorized"),
    (NoPlace, Some("overloaded"), 503, "service unavailable"),
    (AnnouncedTooLarge, Some("payload_too_large"), 413, "payload too large"),
    (TooLarge, Some("payload_too_large"), 413, "payload too large"),
    (Slow, Some("body_read_timeout"), 408, "request timeout"),
    (Broken, Some("body_incomplete"), 400, "bad request"),
    (Mac, Some("signature_mismatch"), 401, "unauthorized"),
    (Stale, Some("timestamp_out_of_tolerance -301"), 401, "unauthorized"),
    (Payload, Some("malformed_payload"), 400, "bad request"),
    (Headers, Some("header_body_mismatch"), 400, "bad request"),
    (Unwanted, None, 200, "ignored"),
    (Store, Some("store_unavailable"), 503, "service unavailable"),
    (Handler, None, 500, "internal server error"),
];

/// An endpoint that lets one request in at a time and dislikes what the flaws say.
fn endpoint(builder: Builder, flaws: &[Flaw]) -> Endpoint {
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

/// Delivers, while another request holds the only place if the flaws say so.
async fn deliver(endpoint: &Endpoint, flaws: &[Flaw], request: Request, body: Body) -> Response {
    if !flaws.contains(&NoPlace) {
        return endpoint.deliver_with(&request, body).await;
    }
    let of_circa = endpoint.receiver.sender() == Sender::CIRCA;
    let (holder, _) = if of_circa { circa_request(&[]) } else { circularo_request(&[]) };
    let stalled = Body::new([Step::Stall]);
    let polled = stalled.polls();
    let waiting = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.deliver_with(&holder, stalled).await }
    });
    while polled.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    endpoint.notes.take();
    let response = endpoint.deliver_with(&request, body).await;
    waiting.abort();
    response
}

/// Contract, section 1: each failure with its reason and status, alone, with any one later failure, and with all later failures at once.
async fn each_check_comes_before_all_later_ones(
    applicable: impl Fn(Flaw) -> bool,
    builder: fn() -> Builder,
    request: fn(&[Flaw]) -> (Request, Body),
) {
    let table: Vec<_> = TABLE.into_iter().filter(|(flaw, ..)| applicable(*flaw)).collect();
    let mut cases = 0;
    for (index, (first, reason, status, text)) in table.iter().enumerate() {
        let later: Vec<Flaw> = table[index + 1..].iter().map(|(flaw, ..)| *flaw).collect();
        let alone = std::iter::once(vec![]);
        let in_pairs = later.iter().map(|flaw| vec![*flaw]);
        for others in alone.chain(in_pairs).chain([later.clone()]) {
            let flaws: Vec<Flaw> = std::iter::once(*first).chain(others).collect();
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

/// Contract, section 1: 200/202 answers say what happened in one header, `circa-receiver-outcome`; each answer is exactly this.
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

/// Contract, section 1: no answer ever repeats parser text, an internal error or anything of the request.
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

/// Contract, section 1: only POST, and methods are case-sensitive.
#[tokio::test]
async fn only_post_is_allowed() {
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "POSTS", ""] {
        let endpoint = endpoint(circa(), &[]);
        let response = endpoint.deliver(&Request { method, ..Request::circa("evt_1") }).await;
        assert_eq!(answer(&response), (405, "method not allowed"), "{method}");
        assert_eq!(header(&response, "allow"), Some("POST"), "{method}");
    }
}

/// Contract, section 1: `Content-Encoding` absent or `identity`.
#[tokio::test]
async fn only_the_identity_encoding_is_taken() {
    let cases: [(&str, &[&str], bool); 10] = [
        ("absent", &[], true),
        ("identity", &["identity"], true),
        ("in another case", &["Identity"], true),
        ("with spaces", &[" identity "], true),
        ("gzip", &["gzip"], false),
        ("br", &["br"], false),
        ("a list", &["identity, gzip"], false),
        ("two lines, gzip last", &["identity", "gzip"], false),
        ("two lines, gzip first", &["gzip", "identity"], false),
        ("unknown", &["x-identity"], false),
    ];
    for (name, values, taken) in cases {
        let endpoint = endpoint(circa(), &[]);
        let request =
            values.iter().fold(Request::circa("evt_1"), |request, value| request.header("content-encoding", value));
        let expected = if taken { HANDLED } else { (415, "unsupported media type") };
        assert_eq!(answer(&endpoint.deliver(&request).await), expected, "{name}");
    }
}

/// Contract, section 1: the grammar is checked "before one byte of the body is polled"; and no check before the body's own polls it.
#[tokio::test(start_paused = true)]
async fn the_body_is_not_polled_before_its_own_checks() {
    for flaw in [Method, Encoding, NoSignature, BlankSignature, TwoSignatures, Grammar, NoPlace, AnnouncedTooLarge] {
        let endpoint = endpoint(circa(), &[flaw]);
        let (request, body) = circa_request(&[flaw]);
        let polls = body.polls();
        let _ = deliver(&endpoint, &[flaw], request, body).await;
        assert_eq!(polls.load(Ordering::SeqCst), 0, "{flaw:?}");
    }
    let (request, body) = circa_request(&[Mac]);
    let polls = body.polls();
    assert_eq!(answer(&endpoint(circa(), &[]).deliver_with(&request, body).await), UNAUTHORIZED);
    assert_ne!(polls.load(Ordering::SeqCst), 0, "a MAC cannot be checked without the body");
}

/// Contract, section 1: body within the limit, counted in bytes read, whatever was announced.
#[tokio::test]
async fn the_limit_is_inclusive_and_counts_the_bytes_read() {
    let padded = |len: usize| {
        let body = circa_body("evt_1");
        format!("{body}{}", " ".repeat(len - body.len()))
    };
    let too_large = (413, "payload too large");
    let cases = [
        ("at the limit", LIMIT, None, HANDLED),
        ("one byte more", LIMIT + 1, None, too_large),
        ("at the limit, announced", LIMIT, Some(LIMIT.to_string()), HANDLED),
        ("one byte more, announced as less", LIMIT + 1, Some("10".to_owned()), too_large),
        ("within the limit, announced as more", 300, Some((LIMIT + 1).to_string()), too_large),
        ("within the limit, announced as less", 300, Some("10".to_owned()), HANDLED),
        ("announced as the largest number", 300, Some(u64::MAX.to_string()), too_large),
        ("announced beyond any number", 300, Some(format!("{}0", u64::MAX)), too_large),
        ("announced within the limit, and cut short", 300, Some("301".to_owned()), (400, "bad request")),
        ("announced as no number", 300, Some("many".to_owned()), HANDLED),
    ];
    for (name, len, announced, expected) in cases {
        for chunk in [1, 7, LIMIT, 2 * LIMIT] {
            let endpoint = endpoint(circa(), &[]);
            let request = Request::signed(padded(len));
            let chunks: Vec<Step> =
                request.body.chunks(chunk).map(|chunk| Step::Chunk(Bytes::copy_from_slice(chunk))).collect();
            let request = match &announced {
                Some(length) => request.header("content-length", length),
                None => request,
            };
            let response = endpoint.deliver_with(&request, Body::new(chunks)).await;
            assert_eq!(answer(&response), expected, "{name}, in chunks of {chunk}");
        }
    }
}

/// Contract, section 1: default 1 MiB.
#[tokio::test]
async fn the_default_limit_is_one_mebibyte() {
    for (more, expected) in [(0, HANDLED), (1, (413, "payload too large"))] {
        let body = circa_body("evt_1");
        let body = format!("{body}{}", " ".repeat(1_048_576 + more - body.len()));
        let endpoint = Endpoint::new(circa(), Gate::open().routes());
        assert_eq!(answer(&endpoint.deliver(&Request::signed(body)).await), expected, "{more} more");
    }
}

/// An endless body is left as soon as it is too large.
#[tokio::test]
async fn a_body_that_is_too_large_is_read_no_further() {
    let endpoint = endpoint(circa(), &[]);
    let body = Body::new((0..1_000).map(|_| Step::Chunk(Bytes::from_static(&[b' '; 100]))));
    let polls = body.polls();
    let response = endpoint.deliver_with(&Request::circa("evt_1"), body).await;
    assert_eq!(answer(&response), (413, "payload too large"));
    assert_eq!(polls.load(Ordering::SeqCst), LIMIT / 100 + 1);
}

/// Contract, section 1: whole body within the read deadline (default 10 s in all, not per chunk).
#[tokio::test(start_paused = true)]
async fn the_read_deadline_is_for_the_whole_body() {
    let timeout = (408, "request timeout");
    let drip = |pause: Duration, count: u32| {
        let body = circa_body("evt_1");
        let (first, rest) = body.split_at(1);
        let mut steps = vec![Step::Chunk(first.to_owned().into())];
        steps.extend((0..count).map(|_| Step::Pause(pause)));
        steps.push(Step::Chunk(rest.to_owned().into()));
        Body::new(steps)
    };
    let cases = [
        ("in time", drip(seconds(9), 1), HANDLED, seconds(9)),
        ("just in time", drip(Duration::from_millis(9_999), 1), HANDLED, Duration::from_millis(9_999)),
        ("too late", drip(Duration::from_millis(10_001), 1), timeout, seconds(10)),
        ("stalled", Body::new([Step::Stall]), timeout, seconds(10)),
    ];
    for (name, body, expected, after) in cases {
        let endpoint = Endpoint::new(circa().ack_deadline(seconds(14)), Gate::open().routes());
        let start = Instant::now();
        assert_eq!(answer(&endpoint.deliver_with(&Request::circa("evt_1"), body).await), expected, "{name}");
        // Timers have a resolution of a millisecond.
        assert!(
            start.elapsed() >= after && start.elapsed() <= after + Duration::from_millis(2),
            "{name}: {:?}",
            start.elapsed()
        );
    }
}

/// As above: a chunk every second keeps no connection open for longer.
#[tokio::test(start_paused = true)]
async fn a_dripping_body_is_left_at_the_deadline() {
    let body = circa_body("evt_1");
    let steps = body
        .as_bytes()
        .iter()
        .flat_map(|byte| [Step::Pause(seconds(1)), Step::Chunk(Bytes::copy_from_slice(&[*byte]))]);
    let endpoint = Endpoint::new(circa().ack_deadline(seconds(14)), Gate::open().routes());
    let start = Instant::now();
    let response = endpoint.deliver_with(&Request::circa("evt_1"), Body::new(steps)).await;
    assert_eq!(answer(&response), (408, "request timeout"));
    assert!(start.elapsed() < seconds(11), "{:?}", start.elapsed());
}

/// Contract, section 1: no input makes the receiver hang. A stream that is always ready never lets a timer speak.
#[tokio::test]
async fn a_body_of_empty_chunks_for_ever_is_left_at_the_deadline() {
    // Time cannot be paused here: nothing ever waits for it.
    let endpoint = Endpoint::new(circa().read_deadline(Duration::from_millis(20)), Gate::open().routes());
    let response = endpoint.deliver_with(&Request::circa("evt_1"), Body::new([Step::EmptyForEver])).await;
    assert_eq!(answer(&response), (408, "request timeout"));
}

/// Empty chunks between others are nothing.
#[tokio::test]
async fn empty_chunks_and_pauses_do_not_change_a_body() {
    let body = circa_body("evt_1");
    let bytes = body.as_bytes().iter().map(|byte| Bytes::copy_from_slice(&[*byte]));
    let steps = bytes.flat_map(|byte| [Step::Chunk(Bytes::new()), Step::Yield, Step::Chunk(byte)]);
    let endpoint = endpoint(circa(), &[]);
    assert_eq!(answer(&endpoint.deliver_with(&Request::circa("evt_1"), Body::new(steps)).await), HANDLED);
}

/// Contract, section 1: body arrived complete. What has arrived is not judged, though it is a whole event.
#[tokio::test]
async fn an_incomplete_body_is_refused_though_what_arrived_is_a_whole_event() {
    let endpoint = endpoint(circa(), &[]);
    let body = Body::new([Step::Chunk(circa_body("evt_1").into()), Step::Fail]);
    assert_eq!(answer(&endpoint.deliver_with(&Request::circa("evt_1"), body).await), (400, "bad request"));
    assert_eq!(endpoint.notes.reason().as_deref(), Some("body_incomplete"));
}

/// Contract, section 2: the body is not copied to compute the MAC. A body of one chunk reaches the handler as the chunk that arrived.
#[tokio::test]
async fn a_body_of_one_chunk_is_not_copied() {
    let seen = Arc::new(std::sync::Mutex::new(None));
    let endpoint = Endpoint::new(circa(), {
        let seen = Arc::clone(&seen);
        routes(move |event| {
            *seen.lock().unwrap() = Some(event.body().clone());
            std::future::ready(Ok(()))
        })
    });
    let request = Request::circa("evt_1");
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
    let seen = seen.lock().unwrap().take().unwrap();
    assert_eq!(seen, request.body);
    assert_eq!(seen.as_ptr(), request.body.as_ptr());
}

/// Contract, section 2: the MAC is over the raw bytes as received; in however many chunks they came, the handler gets those bytes.
#[tokio::test]
async fn the_handler_gets_the_exact_bytes_of_any_chunking() {
    let body = format!("\n\t {} \r\n", circa_body("evt_1"));
    for size in 1..body.len() + 1 {
        let seen = Arc::new(std::sync::Mutex::new(Bytes::new()));
        let endpoint = Endpoint::new(circa(), {
            let seen = Arc::clone(&seen);
            routes(move |event| {
                *seen.lock().unwrap() = event.body().clone();
                std::future::ready(Ok(()))
            })
        });
        let request = Request::signed(body.clone());
        let steps = request.body.chunks(size).map(|chunk| Step::Chunk(Bytes::copy_from_slice(chunk)));
        assert_eq!(answer(&endpoint.deliver_with(&request, Body::new(steps)).await), HANDLED, "chunks of {size}");
        assert_eq!(*seen.lock().unwrap(), body, "chunks of {size}");
    }
}

/// Contract, section 1: a place among the requests in flight (default 256).
#[tokio::test(start_paused = true)]
async fn the_257th_request_in_flight_is_refused() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let mut waiting = Vec::new();
    for index in 0..256 {
        waiting.push(endpoint.spawn(&Request::circa(&format!("evt_{index}"))));
        gate.arrival().await;
    }
    let one_more = Request::circa("evt_one_more");
    assert_eq!(answer(&endpoint.deliver(&one_more).await), UNAVAILABLE);
    assert_eq!(endpoint.notes.reason().as_deref(), Some("overloaded"));
    gate.let_go(1_000);
    for response in waiting {
        assert_eq!(answer(&response.await.unwrap()), HANDLED);
    }
    assert_eq!(answer(&endpoint.deliver(&one_more).await), HANDLED, "the places are given back");
}

/// As above: every way in which a request ends gives its place back.
#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_however_the_request_ends() {
    // Each flawed request alone would exhaust the one place for ever.
    for (flaw, _, status, _) in TABLE {
        let endpoint = endpoint(circa(), &[flaw]);
        for round in 0..3 {
            let (request, body) = circa_request(&[flaw]);
            let response = deliver(&endpoint, &[flaw], request, body).await;
            assert_eq!(response.status(), status, "{flaw:?}, round {round}");
        }
    }
}

/// As above: a sender that hangs up while its body is read, or while the handler runs, gives its place back at once.
#[tokio::test(start_paused = true)]
async fn a_dropped_request_gives_its_place_back() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa().max_in_flight(1), gate.routes());
    let reading = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.deliver_with(&Request::circa("evt_1"), Body::new([Step::Stall])).await }
    });
    settle().await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_2")).await), UNAVAILABLE, "taken while the body is read");
    reading.abort();
    assert!(reading.await.unwrap_err().is_cancelled());

    let handling = endpoint.spawn(&Request::circa("evt_3"));
    gate.arrival().await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_4")).await), UNAVAILABLE, "taken while the handler runs");
    handling.abort();
    assert!(handling.await.unwrap_err().is_cancelled());

    gate.let_go(2);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_5")).await), HANDLED);
}

/// Contract, section 1: nothing is recorded from an unauthenticated delivery except counters by reason.
#[tokio::test(start_paused = true)]
async fn of_an_unauthenticated_delivery_only_the_reason_is_told() {
    for (flaw, reason, ..) in TABLE.into_iter().take_while(|(flaw, ..)| *flaw <= Stale) {
        let endpoint = endpoint(circa().endpoint("billing"), &[flaw]);
        let (request, body) = circa_request(&[flaw]);
        let _ = deliver(&endpoint, &[flaw], request, body).await;
        let expected = ["received billing".to_owned(), format!("rejected {}", reason.unwrap())];
        assert_eq!(endpoint.notes.all(), expected, "{flaw:?}");
    }
}

/// As above, for the dedup store: an event id of a forged delivery leaves no trace.
#[tokio::test(start_paused = true)]
async fn the_store_is_not_asked_before_everything_is_checked() {
    for (flaw, ..) in TABLE.into_iter().take_while(|(flaw, ..)| *flaw <= Unwanted) {
        let store = ScriptedStore::memory();
        let routes = Routes::new().on_type(if flaw == Unwanted { "another.type" } else { "webhook.test" }, handle);
        let endpoint = Endpoint::new(circa().body_limit(LIMIT).max_in_flight(1).dedup(store.clone()), routes);
        let (request, body) = circa_request(&[flaw]);
        let _ = deliver(&endpoint, &[flaw], request, body).await;
        assert_eq!(store.calls("claim"), 0, "{flaw:?}");
    }
}

async fn handle(_: AnyEvent, (): ()) -> Result<(), HandlerError> {
    Ok(())
}

/// Contract, section 1: a clock before 1970: `clock_error`, 503. Section 3: the MAC is checked first.
#[tokio::test]
async fn a_clock_before_1970_is_503_for_the_authentic_and_401_for_the_rest() {
    let endpoint = |now| Endpoint::new(circa().clock(FakeClock::at(now)), Gate::open().routes());
    let forged = Request::circa("evt_1").resigned(&CircaSigner::new(OTHER_SECRET), 0);
    let cases = [
        ("authentic", -1, Request::circa("evt_1"), UNAVAILABLE, Some("clock_error")),
        ("authentic, long before", i64::MIN, Request::circa("evt_1"), UNAVAILABLE, Some("clock_error")),
        ("forged", -1, forged, UNAUTHORIZED, Some("signature_mismatch")),
        ("unsigned", -1, Request::circa("evt_1").without("circa-signature"), UNAUTHORIZED, Some("missing_signature")),
        ("in 1970 itself", 0, Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), 0), HANDLED, None),
    ];
    for (name, now, request, expected, reason) in cases {
        let endpoint = endpoint(now);
        assert_eq!(answer(&endpoint.deliver(&request).await), expected, "{name}");
        assert_eq!(endpoint.notes.reason().as_deref(), reason, "{name}");
    }
}

/// Circularo signs no time, so no clock is needed to receive it.
#[tokio::test]
async fn a_clock_before_1970_does_not_matter_where_no_time_is_signed() {
    let endpoint = Endpoint::new(circularo().clock(FakeClock::at(-1)), Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circularo(circularo_body("doc"))).await), HANDLED);
}

/// Contract, section 3: both sides inclusive, future and past alike; the reason tells the signed skew in seconds.
#[tokio::test]
async fn the_tolerance_is_inclusive_and_the_skew_is_signed() {
    let cases = [
        (300, -300, None),
        (300, -301, Some("timestamp_out_of_tolerance -301")),
        (300, 300, None),
        (300, 301, Some("timestamp_out_of_tolerance 301")),
        (0, 0, None),
        (0, 1, Some("timestamp_out_of_tolerance 1")),
        (0, -1, Some("timestamp_out_of_tolerance -1")),
        (3_600, -3_600, None),
        (3_600, -3_601, Some("timestamp_out_of_tolerance -3601")),
    ];
    for (tolerance, skew, reason) in cases {
        let builder = circa().tolerance(seconds(tolerance)).clock(FakeClock::at(NOW));
        let endpoint = Endpoint::new(builder, Gate::open().routes());
        let request = Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), NOW + skew);
        let expected = if reason.is_none() { HANDLED } else { UNAUTHORIZED };
        assert_eq!(answer(&endpoint.deliver(&request).await), expected, "{tolerance} s, {skew} s");
        assert_eq!(endpoint.notes.reason().as_deref(), reason, "{tolerance} s, {skew} s");
    }
}

/// Contract, section 3: `abs_diff`, never a subtraction that can overflow.
#[tokio::test]
async fn times_at_the_ends_of_the_world_do_not_overflow() {
    for (now, at) in [(0, i64::MAX), (i64::MAX, 0), (i64::MAX, i64::MAX), (NOW, 0), (NOW, i64::MAX)] {
        let endpoint = Endpoint::new(circa().clock(FakeClock::at(now)), Gate::open().routes());
        let request = Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), at);
        let expected = if now == at { HANDLED } else { UNAUTHORIZED };
        assert_eq!(answer(&endpoint.deliver(&request).await), expected, "now {now}, signed at {at}");
    }
}

/// The body is received before the time is judged: what became stale meanwhile is stale.
#[tokio::test(start_paused = true)]
async fn the_signed_time_is_judged_when_the_body_is_complete() {
    let endpoint = Endpoint::new(circa().tolerance(seconds(5)), Gate::open().routes());
    let body = Body::new([Step::Pause(seconds(8)), Step::Chunk(circa_body("evt_1").into())]);
    assert_eq!(answer(&endpoint.deliver_with(&Request::circa("evt_1"), body).await), UNAUTHORIZED);
    assert_eq!(endpoint.notes.reason().as_deref(), Some("timestamp_out_of_tolerance -8"));
}

/// Contract, section 3: `max_event_age` on the body's `timestamp` is opt-in, off by default.
#[tokio::test]
async fn circularos_events_may_be_given_a_maximal_age() {
    let stale = |skew: i64| Some(format!("timestamp_out_of_tolerance {skew}"));
    let malformed = || Some("malformed_payload".to_owned());
    let cases = [
        ("now", format!("{NOW}"), None),
        ("at the limit", format!("{}", NOW - 600), None),
        ("beyond the limit", format!("{}", NOW - 601), stale(-601)),
        ("beyond the limit, in milliseconds", format!("{}000", NOW - 601), stale(-601)),
        ("at the limit, in ISO 8601", "\"2025-05-11T21:50:00.000Z\"".to_owned(), None),
        ("beyond the limit, in ISO 8601", "\"2025-05-11T21:49:59.000Z\"".to_owned(), stale(-601)),
        ("ahead", format!("{}", NOW + 601), None),
        ("null", "null".to_owned(), malformed()),
        ("not a time", "\"yesterday\"".to_owned(), malformed()),
        ("beyond all numbers", "1e999".to_owned(), malformed()),
    ];
    for (name, timestamp, reason) in cases {
        let body = format!(r#"{{"documentId":"doc","event":"documentSigned","timestamp":{timestamp}}}"#);
        let request = Request::circularo(body);
        let builder = || circularo().clock(FakeClock::at(NOW));
        let endpoint = Endpoint::new(builder().max_event_age(seconds(600)), Gate::open().routes());
        let response = endpoint.deliver(&request).await;
        assert_eq!(endpoint.notes.reason(), reason, "{name}");
        let expected = match reason.as_deref() {
            None => HANDLED,
            Some("malformed_payload") => (400, "bad request"),
            Some(_) => UNAUTHORIZED,
        };
        assert_eq!(answer(&response), expected, "{name}");
        let by_default = Endpoint::new(builder(), Gate::open().routes());
        assert_eq!(answer(&by_default.deliver(&request).await), HANDLED, "{name}, by default");
    }
}

/// Contract, section 3, for `max_event_age`: without a clock an age cannot be judged.
#[tokio::test]
async fn a_maximal_age_needs_a_clock() {
    let builder = circularo().max_event_age(seconds(600)).clock(FakeClock::at(-1));
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circularo(circularo_body("doc"))).await), UNAVAILABLE);
    assert_eq!(endpoint.notes.reason().as_deref(), Some("clock_error"));
}

/// Contract, section 2: an unsigned receiver exists only behind a constructor with `dangerous` in its name. It does all other checks.
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

/// Contract, section 2: a missing header is refused even though the sender calls HMAC optional.
#[tokio::test]
async fn a_signed_receiver_refuses_circularos_unsigned_deliveries() {
    let endpoint = Endpoint::new(circularo(), Gate::open().routes());
    let request = Request::circularo(circularo_body("doc")).without("x-circularo-signature");
    assert_eq!(answer(&endpoint.deliver(&request).await), UNAUTHORIZED);
}

/// Contract, section 2: a receiver serves one sender and ignores the other sender's header.
#[tokio::test]
async fn the_other_senders_header_is_ignored() {
    let other =
        |request: &Request, name: &str| request.headers.iter().find(|(other, _)| other == name).unwrap().1.clone();
    let (of_circa, of_circularo) = (Request::circa("evt_1"), Request::circularo(circularo_body("doc")));
    let of_both = |request: &Request| {
        request
            .clone()
            .replace("Circa-Signature", other(&of_circa, "Circa-Signature"))
            .replace("x-circularo-signature", other(&of_circularo, "x-circularo-signature"))
    };
    let circa = Endpoint::new(circa(), Gate::open().routes());
    let circularo = Endpoint::new(circularo(), Gate::open().routes());
    assert_eq!(answer(&circa.deliver(&of_both(&of_circa)).await), HANDLED);
    assert_eq!(answer(&circularo.deliver(&of_both(&of_circularo)).await), HANDLED);
    assert_eq!(answer(&circa.deliver(&of_circularo).await), UNAUTHORIZED);
    assert_eq!(answer(&circularo.deliver(&of_circa).await), UNAUTHORIZED);
}

/// Contract, section 1: the event is wanted (mode, registered type): check 13, before the claim.
#[tokio::test]
async fn an_unwanted_event_is_ignored_and_not_recorded() {
    let store = ScriptedStore::memory();
    let endpoint = Endpoint::new(circa().mode(Mode::Live).dedup(store.clone()), Gate::open().routes());
    for _ in 0..2 {
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), IGNORED);
    }
    assert_eq!(endpoint.notes.count("ignored"), 2);
    assert_eq!(store.calls("claim"), 0);
}

/// The same receiver without a builder's conveniences: with [`Receiver::handle`] the order is the same.
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

/// Contract, section 1, check 5: hanging up makes no room as long as the claim is not decided, so replays of one delivery cannot pile up behind a handler.
#[tokio::test(start_paused = true)]
async fn a_place_is_kept_until_the_claim_is_decided_though_the_sender_has_hung_up() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa().max_in_flight(2), gate.routes());
    let _running = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    let hung_up = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    hung_up.abort();
    let _ = hung_up.await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_2")).await), (503, "service unavailable"));
    gate.let_go(2);
    settle().await;
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_2")).await), HANDLED);
}

/// Contract, section 8: the ack deadline counts from the arrival of the head, "body reading included".
#[tokio::test(start_paused = true)]
async fn a_body_is_read_no_longer_than_the_ack_deadline() {
    let builder = circa().ack_deadline(seconds(3)).read_deadline(seconds(60));
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    let start = tokio::time::Instant::now();
    let response = endpoint.deliver_with(&Request::circa("evt_1"), Body::new([Step::Stall])).await;
    assert_eq!((answer(&response), start.elapsed()), ((408, "request timeout"), seconds(3)));
}
