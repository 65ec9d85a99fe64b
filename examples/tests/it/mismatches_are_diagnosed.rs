//! Each mistake behind a signature that matches no secret is named: by a delivery with just that
//! mistake, in both frameworks.

use std::{io::Write as _, time::Duration};

use actix_web::test::init_service;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use circa_receiver::{
    Diagnosis, Observer, Receiver, Secret, Secrets, Sender,
    observe::{Origin, Rewriting, Side},
    testing::{CircaSigner, CircularoSigner, SimulatedBody, Target},
};
use flate2::{Compression, write::GzEncoder};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const PATH: &str = "/webhooks";
/// What follows the prefix is base64.
const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==";
const RETIRED: &str = "whsec_retired_0123456789abcdef";
const OTHER_ENDPOINT: &str = "whsec_other_0123456789abcdef";
const OTHER_SENDER: &str = "circularo_0123456789abcdef";
const NOW: i64 = 1_747_000_800;
const BODY: &str = r#"{"id":"evt_1","type":"webhook.test","created":1747000700,"livemode":false,"data":{"b":[1,2.50],"message":"é/"}}"#;

/// A hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a receiver is told about mismatches.
struct Told(UnboundedSender<(String, Diagnosis)>);

impl Observer for Told {
    fn diagnosed(&self, endpoint: &str, diagnosis: Diagnosis) {
        self.0.send((endpoint.to_owned(), diagnosis)).unwrap();
    }
}

/// A delivery with one mistake.
struct Mistake {
    sender: Sender,
    configured: Vec<u8>,
    signature: String,
    body: Vec<u8>,
    expected: Diagnosis,
}

/// Signed with another key than the configured one.
fn key(configured: impl AsRef<[u8]>, signed_with: impl AsRef<[u8]>, expected: Diagnosis) -> Mistake {
    let signature = CircaSigner::new(signed_with).sign(NOW, BODY.as_bytes());
    Mistake { sender: Sender::CIRCA, configured: configured.as_ref().to_vec(), signature, body: BODY.into(), expected }
}

/// Signed over another body than the one that arrives.
fn body(signed: impl AsRef<[u8]>, arrives: impl Into<Vec<u8>>, expected: Diagnosis) -> Mistake {
    let signature = CircaSigner::new(SECRET).sign(NOW, signed.as_ref());
    Mistake { sender: Sender::CIRCA, configured: SECRET.into(), signature, body: arrives.into(), expected }
}

/// Signed at another time than the header says.
fn time(signed: i64) -> Mistake {
    let signature = CircaSigner::new(SECRET).sign(signed, BODY.as_bytes());
    let signature = signature.replace(&format!("t={signed}"), &format!("t={NOW}"));
    Mistake {
        sender: Sender::CIRCA,
        configured: SECRET.into(),
        signature,
        body: BODY.into(),
        expected: Diagnosis::OtherTime,
    }
}

fn secrets() -> Vec<Mistake> {
    use Side::{Receiver, Signer};
    let decoded = STANDARD.decode(&SECRET[6..]).unwrap();
    let with = |before: &str, behind: &str| format!("{before}{SECRET}{behind}");
    vec![
        key(SECRET, &SECRET[6..], Diagnosis::PrefixStripped(Signer)),
        key(&SECRET[6..], SECRET, Diagnosis::PrefixStripped(Receiver)),
        key(SECRET, &decoded, Diagnosis::Base64Decoded(Signer)),
        key(&decoded, SECRET, Diagnosis::Base64Decoded(Receiver)),
        key(SECRET, with("\"", "\""), Diagnosis::Quoted(Signer)),
        key(SECRET, with("'", "'"), Diagnosis::Quoted(Signer)),
        key(with("\"", "\""), SECRET, Diagnosis::Quoted(Receiver)),
        key(with("'", "'"), SECRET, Diagnosis::Quoted(Receiver)),
        key(SECRET, with("", "\n"), Diagnosis::LineEnd(Signer)),
        key(SECRET, with("", "\r\n"), Diagnosis::LineEnd(Signer)),
        key(with("", "\n"), SECRET, Diagnosis::LineEnd(Receiver)),
        key(with("", "\r\n"), SECRET, Diagnosis::LineEnd(Receiver)),
        key(SECRET, with(" ", ""), Diagnosis::WhiteSpace(Signer)),
        key(SECRET, with("", " "), Diagnosis::WhiteSpace(Signer)),
        key(with(" ", "\t"), SECRET, Diagnosis::WhiteSpace(Receiver)),
        key(SECRET, RETIRED, Diagnosis::OtherSecret(Origin::Retired)),
        key(SECRET, OTHER_ENDPOINT, Diagnosis::OtherSecret(Origin::OtherEndpoint)),
        key(SECRET, OTHER_SENDER, Diagnosis::OtherSecret(Origin::OtherSender)),
        key(SECRET, "whsec_of_nobody_0123456789abcdef", Diagnosis::Unexplained),
    ]
}

fn times() -> Vec<Mistake> {
    let alone = format!("t={NOW},v1={}", CircularoSigner::new(SECRET).sign(BODY.as_bytes()));
    let alone = Mistake {
        sender: Sender::CIRCA,
        configured: SECRET.into(),
        signature: alone,
        body: BODY.into(),
        expected: Diagnosis::NoTime,
    };
    let created = 1_747_000_700;
    vec![alone, time(NOW * 1_000), time(NOW / 1_000), time(NOW - 1), time(NOW + 1), time(created)]
}

fn bodies() -> Vec<Mistake> {
    let dos = BODY.replace(',', ",\r\n");
    let unix = BODY.replace(',', ",\n");
    let bom = format!("\u{feff}{BODY}");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(BODY.as_bytes()).unwrap();
    let compressed = encoder.finish().unwrap();
    vec![
        body(BODY, format!("{BODY}\n"), Diagnosis::BodyLineEndAdded),
        body(BODY, format!("{BODY}\r\n"), Diagnosis::BodyLineEndAdded),
        body(format!("{BODY}\n"), BODY, Diagnosis::BodyLineEndCut),
        body(format!("{BODY}\r\n"), BODY, Diagnosis::BodyLineEndCut),
        body(&dos, unix.clone(), Diagnosis::BodyLineEndsChanged),
        body(&unix, dos, Diagnosis::BodyLineEndsChanged),
        body(BODY, bom.clone(), Diagnosis::BomAdded),
        body(&bom, BODY, Diagnosis::BomCut),
        body(BODY, compressed.clone(), Diagnosis::Compressed),
        body(&compressed, BODY, Diagnosis::Decompressed),
        body("x".repeat(65_537), "y".repeat(65_537), Diagnosis::BodyTooLong),
        body("{}", "{ }", Diagnosis::Reserialised(Rewriting::Spaces)),
        body(BODY.replace("webhook.test", "x"), BODY, Diagnosis::Unexplained),
    ]
}

/// What a sender signs, and what a middleware makes of it that parses the JSON and writes it anew.
fn rewritten() -> Vec<Mistake> {
    let spaced = BODY.replace("\":", "\": ").replace(",\"", ", \"").replace("1,2", "1, 2");
    let indented = serde_json::to_string_pretty(&serde_json::json!({"id": "evt_1", "data": [1]})).unwrap();
    let sorted = r#"{"created":1747000700,"data":{"b":[1,2.50],"message":"é/"},"id":"evt_1","livemode":false,"type":"webhook.test"}"#;
    let case = |signed: &str, arrives: &str, rewriting| body(signed, arrives, Diagnosis::Reserialised(rewriting));
    vec![
        case(&spaced, BODY, Rewriting::Spaces),
        case(BODY, &spaced, Rewriting::Spaces),
        case(&indented, &indented.replace(['\n', ' '], ""), Rewriting::Spaces),
        case(BODY, sorted, Rewriting::KeyOrder),
        case(sorted, BODY, Rewriting::KeyOrder),
        case(&BODY.replace('é', "\\u00e9"), BODY, Rewriting::Escapes),
        case(BODY, &BODY.replace('é', "\\u00e9"), Rewriting::Escapes),
        case(&spaced.replace('é', "\\u00e9"), BODY, Rewriting::Several),
    ]
}

/// Circularo signs no time, and its secrets have no prefix.
fn of_circularo() -> Vec<Mistake> {
    let signed = r#"{"documentId":"cd47142b","event":"documentSigned","actor":"mary","timestamp":1}"#;
    let sorted = r#"{"actor":"mary","documentId":"cd47142b","event":"documentSigned","timestamp":1}"#;
    let case = |configured: &str, key: &str, arrives: &str, expected| Mistake {
        sender: Sender::CIRCULARO,
        configured: configured.into(),
        signature: CircularoSigner::new(key).sign(signed.as_bytes()),
        body: arrives.into(),
        expected,
    };
    let (secret, other) = ("hmac-secret-0123456789", "whsec_other_0123456789abcdef");
    vec![
        case(&format!("'{secret}'"), secret, signed, Diagnosis::Quoted(Side::Receiver)),
        case(secret, &format!("{secret}\n"), signed, Diagnosis::LineEnd(Side::Signer)),
        case(secret, OTHER_SENDER, signed, Diagnosis::OtherSecret(Origin::OtherSender)),
        case(secret, secret, &format!("{signed}\n"), Diagnosis::BodyLineEndAdded),
        case(secret, secret, sorted, Diagnosis::Reserialised(Rewriting::KeyOrder)),
        case(secret, &other.replace("other", "unknown"), signed, Diagnosis::Unexplained),
    ]
}

async fn never(_: circa_receiver::AnyEvent) {
    panic!("a forged delivery has run a handler");
}

fn receiver(mistake: &Mistake, told: UnboundedSender<(String, Diagnosis)>) -> Receiver {
    let secret = |secret: &str| Secrets::from(Secret::new(secret).unwrap());
    let build = if mistake.sender == Sender::CIRCA { Receiver::circa } else { Receiver::circularo };
    let builder = build(secret(RETIRED))
        .known_secrets(Origin::OtherEndpoint, secret(OTHER_ENDPOINT))
        .known_secrets(Origin::OtherSender, secret(OTHER_SENDER));
    let receiver = builder.observer(Told(told)).build().unwrap();
    receiver.replace_secrets(Secret::dangerous_unchecked(&mistake.configured).unwrap());
    receiver
}

async fn send(target: impl Target, mistake: &Mistake) {
    let request = http::Request::post(PATH)
        .header("content-length", mistake.body.len())
        .header(mistake.sender.signature_header(), &mistake.signature);
    let request = request.body(SimulatedBody::whole(mistake.body.clone())).unwrap();
    assert_eq!(target.deliver(request).await.unwrap().status(), 401);
}

#[actix_web::test]
async fn each_mistake_in_both_frameworks() {
    for mistake in [secrets(), times(), bodies(), rewritten(), of_circularo()].into_iter().flatten() {
        let (told, mut diagnoses) = unbounded_channel();
        let axum = circa_receiver_axum::webhook(receiver(&mistake, told.clone()))
            .fallback(async |event: circa_receiver_axum::AnyEvent| never(event.0).await);
        let axum = axum::Router::new().route(PATH, axum.into_route());
        send(circa_receiver_axum::testing::target(axum), &mistake).await;
        let actix = circa_receiver_actix::webhook(receiver(&mistake, told)).fallback(
            async |event: circa_receiver_actix::AnyEvent| {
                never(event.0).await;
                actix_web::HttpResponse::Ok().finish()
            },
        );
        let actix = init_service(actix_web::App::new().route(PATH, actix.into_route())).await;
        send(circa_receiver_actix::testing::target(actix), &mistake).await;
        for framework in ["the first", "the second"] {
            let diagnosis = tokio::time::timeout(PATIENCE, diagnoses.recv()).await.unwrap();
            let expected = (mistake.sender.name().to_owned(), mistake.expected);
            assert_eq!(diagnosis, Some(expected), "{framework}");
        }
        assert!(diagnoses.try_recv().is_err(), "{:?}: one diagnosis, and no other", mistake.expected);
    }
}
