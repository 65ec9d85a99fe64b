//! What the fuzz targets do with one input, and what must hold whatever it is.
//! `tests/fuzz_corpus.rs` replays the corpora.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use circa_receiver::{
    AnyEvent, HandlerError, Outcome, Receiver, Rejection, Routes, Secret, Sender, Verifier,
    adapter::Reception,
    event::{DatapointPulled, DocumentSigned, WebhookTest},
    testing::{CircaSigner, CircularoSigner, FakeClock, unix_time},
};

use crate::Chunks;
use crate::envelope::{Members, Reading};

const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;
const BODY: &[u8] = br#"{"id":"evt_1","type":"webhook.test","livemode":false,"data":{}}"#;

/// Header bytes -> verifier. What is accepted holds the right MAC; what is malformed is so whatever
/// the body.
pub fn header(input: &[u8]) {
    let right = circa_mac(time_in(input), BODY);
    let verifier = Verifier::circa(secret()).dangerous_tolerance(None);
    judge(&verifier, input, &right);
    judge(&Verifier::circularo(secret()), input, &CircularoSigner::new(SECRET).sign(BODY));
}

fn judge(verifier: &Verifier, input: &[u8], right: &str) {
    let verify =
        |body: &[u8]| verifier.verify([(verifier.sender().signature_header(), input)], body, unix_time(NOW)).map(drop);
    match verify(BODY) {
        Ok(()) => assert!(holds(input, right), "accepted without the right MAC"),
        Err(Rejection::SignatureMismatch) => assert!(input.len() >= 64, "compared without a MAC"),
        Err(rejection @ (Rejection::MissingSignature | Rejection::MalformedSignature)) => {
            assert_eq!(verify(b"another body"), Err(rejection), "the grammar depends on the body");
        }
        Err(rejection) => panic!("not for a verifier to say: {rejection}"),
    }
}

/// Body -> event parse, for both senders. What is accepted keeps to the envelope's rules, and no
/// accessor panics.
pub fn body(input: &[u8]) {
    let circa = CircaSigner::new(SECRET).sign(NOW, input);
    if let Some(event) = parse(&Verifier::circa(secret()), &circa, input) {
        assert!((1..=255).contains(&event.id().len()) && event.id().bytes().all(|byte| byte.is_ascii_graphic()));
        let data = event.raw_data().unwrap_or(b"null");
        assert!(serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(), "data is JSON");
    }
    let circularo = CircularoSigner::new(SECRET).sign(input);
    if let Some(event) = parse(&Verifier::circularo(secret()), &circularo, input) {
        assert_eq!(event.id().len(), 64);
        assert!(event.document_id().is_some_and(|id| !id.is_empty()));
    }
}

fn parse(verifier: &Verifier, signature: &str, input: &[u8]) -> Option<AnyEvent> {
    let headers = [(verifier.sender().signature_header(), signature.as_bytes())];
    let event = match verifier.verify(headers, input.to_vec(), unix_time(NOW)).expect("the body is signed").event() {
        Ok(event) => event,
        Err(rejection) => {
            assert_eq!(rejection.reason(), "malformed_payload");
            return None;
        }
    };
    assert!(std::str::from_utf8(input).is_ok(), "UTF-8 throughout");
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(input).is_ok(), "one JSON value and nothing after it");
    assert_eq!(&event.body()[..], input, "the body is kept byte for byte");
    let event_type = event.event_type();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    assert!((1..=128).contains(&event_type.len()) && event_type.bytes().all(allowed));
    let _ = (event.kind(), event.created_at(), event.livemode(), event.team_id(), event.actor().is_some());
    let _ = event.timestamp().map(|timestamp| (timestamp.unix_millis(), timestamp.system_time()));
    let _ = (event.decode::<DatapointPulled>(), event.decode::<WebhookTest>(), event.decode::<DocumentSigned>());
    Some(event)
}

/// Body -> envelope, beside an independent reading by `serde_json::Value`, for both senders: where
/// that can read the body, both refuse it, or both read the same.
pub fn envelope(input: &[u8]) {
    let Some(members) = Members::read(input) else { return };
    let circa = CircaSigner::new(SECRET).sign(NOW, input);
    let ours = parse(&Verifier::circa(secret()), &circa, input);
    assert_eq!(ours.as_ref().map(Reading::of), members.reading(true), "as Circa's");
    let circularo = CircularoSigner::new(SECRET).sign(input);
    let ours = parse(&Verifier::circularo(secret()), &circularo, input);
    assert_eq!(ours.as_ref().map(Reading::of), members.reading(false), "as Circularo's");
}

/// Whole delivery -> receiver. The input is much like a request: a line with the sender and the
/// method, lines with headers, an empty line, the body. A header `sign` without a value stands for
/// the right signature.
pub fn delivery(input: &[u8]) {
    let (head, body) = split(input, b"\n\n");
    let mut lines = head.split(|&byte| byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default());
    let (sender, method) = first.split_once(' ').unwrap_or(("circa", &first));
    let circularo = sender == "circularo";
    let signature =
        if circularo { CircularoSigner::new(SECRET).sign(body) } else { CircaSigner::new(SECRET).sign(NOW, body) };
    let sender = if circularo { Sender::CIRCULARO } else { Sender::CIRCA };
    let headers: Vec<(String, Vec<u8>)> = lines
        .map(|line| match split(line, b":") {
            (b"sign", b"") => (sender.signature_header().to_owned(), signature.clone().into_bytes()),
            (name, value) => (String::from_utf8_lossy(name).into_owned(), value.to_vec()),
        })
        .collect();

    let builder = if circularo { Receiver::circularo(secret()) } else { Receiver::circa(secret()) };
    let receiver = builder.clock(FakeClock::at(NOW)).build().expect("the settings are good");
    let runs = Arc::new(AtomicUsize::new(0));
    let routes = Routes::new().on_type("webhook.test", count).on_type("documentSigned", count);
    let response = RUNTIME.block_on(async {
        let chunks = Chunks::of(&Bytes::copy_from_slice(body), 7);
        match receiver.receive(&(method, &headers[..]), chunks, &routes).await {
            Reception::Answered(response) => response,
            Reception::Admitted(admitted, handler) => {
                let (handler, runs) = (handler.clone(), Arc::clone(&runs));
                let (task, answer) = admitted.run(move |delivery| handler.call(delivery, runs));
                answer.wait_for(tokio::spawn(task)).await
            }
        }
    });

    let handled = response == Outcome::Handled.response();
    assert_eq!(runs.load(Ordering::Relaxed), usize::from(handled), "the handler runs once, or never");
    assert!(response.status() < 500, "5xx for the sender's fault: {response:?}");
    if response.status() == 401 {
        assert_eq!(response, Outcome::Rejected(Rejection::MissingSignature).response(), "a 401 that tells its reason");
    }
    if matches!(response.status(), 200 | 400) {
        let right = if circularo { signature } else { String::new() };
        let signed = headers.iter().any(|(name, value)| {
            let right = if circularo { right.clone() } else { circa_mac(time_in(value), body) };
            name.eq_ignore_ascii_case(sender.signature_header()) && holds(value, &right)
        });
        assert!(signed && method == "POST", "an answer for authentic deliveries: {response:?}");
    }
}

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));

async fn count(_: AnyEvent, runs: Arc<AtomicUsize>) -> Result<(), HandlerError> {
    runs.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

fn secret() -> Secret {
    Secret::new(SECRET).expect("a good secret")
}

/// The first time in a header of Circa, as far as it can be signed at all.
fn time_in(header: &[u8]) -> i64 {
    let elements = header.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let time = elements.filter_map(|element| element.strip_prefix(b"t=")).next();
    time.and_then(|time| std::str::from_utf8(time).ok()?.parse().ok()).unwrap_or(NOW)
}

fn circa_mac(at: i64, body: &[u8]) -> String {
    let signature = CircaSigner::new(SECRET).sign(at, body);
    signature.rsplit('=').next().unwrap_or_default().to_owned()
}

fn holds(header: &[u8], mac: &str) -> bool {
    header.windows(mac.len()).any(|part| part.eq_ignore_ascii_case(mac.as_bytes()))
}

/// What stands before and behind the first separator; all of it and nothing, where there is none.
fn split<'a>(input: &'a [u8], separator: &[u8]) -> (&'a [u8], &'a [u8]) {
    match input.windows(separator.len()).position(|part| part == separator) {
        Some(at) => (&input[..at], &input[at + separator.len()..]),
        None => (input, &[]),
    }
}
