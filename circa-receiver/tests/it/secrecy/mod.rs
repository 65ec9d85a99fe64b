//! Contract, section 4: `Debug`, `Display`, errors, logs and traces never hold a secret, its length
//! or hash, an expected or received MAC, or body bytes.

#[cfg(all(feature = "metrics", feature = "tracing"))]
mod logs;

use std::{fmt, time::Duration};

use bytes::Bytes;
use circa_receiver::{
    AnyEvent, ConfigError, DecodeError, Event, EventData, HandlerError, MemoryStore, Outcome, Receiver, Rejection,
    Routes, Secret, Secrets, Sender, Verifier,
    adapter::{ExtractError, Reception},
    dedup::{ClaimRequest, Fingerprint, Key, Nonce},
    event::{
        DatapointPulled, DocumentCompleted, DocumentCreated, DocumentDeleted, DocumentEdited, DocumentSigned,
        DocumentSimpleActionExecuted, SignCancelled, SignDelegated, SignExpired, SignRejected, SignRequest,
        WebhookTest,
    },
    observe::{Mismatch, Origin},
    testing::{CircaSigner, CircularoSigner, FakeClock, SignedRequest, unix_time},
};

use circa_receiver_test_support::Chunks;

use crate::support::forbidden::Forbidden;

const NOW: i64 = 1_747_000_800;
/// Stands in the bodies wherever an event may show nothing.
const MARKER: &str = "mArKeR-0f-tHe-bOdY";

/// Secrets of lengths that stand for nothing else.
fn circa_secret() -> String {
    format!("whsec_{}", "CiRc4-s3CrEt!".repeat(751))
}

fn circularo_secret() -> String {
    "cIrCuL4r0-S3cReT!".repeat(757)
}

fn forger() -> CircaSigner {
    CircaSigner::new("whsec_of-somebody-else")
}

fn hex_of(signature: &str) -> Vec<u8> {
    let hex = signature.rsplit('=').next().unwrap();
    (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

/// The secrets and the marker, and for each body its right MAC and a forged one.
fn forbidden(bodies: &[String]) -> Forbidden {
    let mut forbidden = Forbidden::default();
    forbidden.secret("Circa's secret", circa_secret().as_bytes());
    forbidden.secret("Circularo's secret", circularo_secret().as_bytes());
    forbidden.bytes("the body's marker", MARKER.as_bytes());
    for body in bodies {
        forbidden.bytes("the body", body.as_bytes());
        for at in [NOW, NOW - 1_000] {
            let right = CircaSigner::new(circa_secret()).sign(at, body.as_bytes());
            forbidden.bytes("the expected MAC", &hex_of(&right));
            forbidden.bytes("the received MAC", &hex_of(&forger().sign(at, body.as_bytes())));
        }
        let right = CircularoSigner::new(circularo_secret()).sign(body.as_bytes());
        forbidden.bytes("Circularo's MAC", &hex_of(&right));
    }
    forbidden
}

fn circa_body(id: &str, event_type: &str, data: &str) -> String {
    format!(
        r#"{{"id":"{id}","type":"{event_type}","created":{NOW},"livemode":true,"teamId":"{MARKER}","data":{data},"x":"{MARKER}"}}"#
    )
}

fn circularo_body(event_type: &str) -> String {
    format!(r#"{{"documentId":"{MARKER}","event":"{event_type}","actor":"{MARKER}","timestamp":"{MARKER}"}}"#)
}

/// The data of every unit of `datapoint.pulled`, and of `webhook.test`.
fn circa_bodies() -> Vec<String> {
    let data = [
        format!(r#"{{"unit":"property","materialId":"{MARKER}","propertyIds":["{MARKER}"],"userId":"{MARKER}"}}"#),
        format!(r#"{{"unit":"process","processId":"{MARKER}","referenceProductIds":["{MARKER}"],"revealedCount":1}}"#),
        format!(r#"{{"unit":"impact","processId":"{MARKER}","characterizationFactorIds":["{MARKER},{MARKER}"]}}"#),
        format!(r#"{{"materialIds":["{MARKER}"],"userId":"{MARKER}","creditsDebited":2}}"#),
        format!(r#"{{"unit":"{MARKER}","x":"{MARKER}"}}"#),
    ];
    let test = circa_body("evt_1", "webhook.test", &format!(r#"{{"message":"{MARKER}"}}"#));
    data.iter().map(|data| circa_body("evt_1", "datapoint.pulled", data)).chain([test]).collect()
}

fn circa_verifier() -> Verifier {
    Verifier::circa(Secret::new(circa_secret()).unwrap())
}

fn circa_event(body: &str) -> AnyEvent {
    let signature = CircaSigner::new(circa_secret()).sign(NOW, body.as_bytes());
    let headers = [("circa-signature", signature.as_bytes())];
    circa_verifier().verify(headers, body.to_owned(), unix_time(NOW)).unwrap().event().unwrap()
}

fn circularo_event(body: &str) -> AnyEvent {
    let signature = CircularoSigner::new(circularo_secret()).sign(body.as_bytes());
    let verifier = Verifier::circularo(Secret::new(circularo_secret()).unwrap());
    let headers = [("x-circularo-signature", signature.as_bytes())];
    verifier.verify(headers, body.to_owned(), unix_time(NOW)).unwrap().event().unwrap()
}

/// Everything that was printed, with its name.
#[derive(Default)]
struct Printed(Vec<(String, String)>);

impl Printed {
    fn debug(&mut self, name: &str, value: &(impl fmt::Debug + ?Sized)) {
        self.0.push((format!("{name} as {{:?}}"), format!("{value:?}")));
        self.0.push((format!("{name} as {{:#?}}"), format!("{value:#?}")));
    }

    fn both(&mut self, name: &str, value: &(impl fmt::Debug + fmt::Display + ?Sized)) {
        self.debug(name, value);
        self.0.push((format!("{name} as {{}}"), value.to_string()));
    }

    fn assert_free_of(&self, forbidden: &Forbidden) {
        let found: Vec<_> = self
            .0
            .iter()
            .flat_map(|(name, text)| forbidden.found_in(text).into_iter().map(move |what| (name, what, text)))
            .map(|(name, what, text)| format!("{name} shows {what}: {}", text.chars().take(200).collect::<String>()))
            .collect();
        assert!(!self.0.is_empty() && found.is_empty(), "{}", found.join("\n"));
    }
}

#[test]
fn what_is_forbidden_is_found_in_every_form() {
    let mut forbidden = Forbidden::default();
    forbidden.secret("secret", b"whsec_0123456789abcdefghij");
    let leaks = [
        "whsec_0123456789abcdefghij",
        "01234567",
        "3031323334353637",
        "3031 3233 3435 3637",
        "[48, 49, 50, 51, 52, 53, 54, 55, 56]",
        "[\n    48,\n    49,\n    50,\n    51,\n    52,\n    53,\n    54,\n    55,\n]",
        "MDEyMzQ1Njc4OWFiY2RlZmdoaWo=",
        "len: 26",
        "20 bytes",
    ];
    for leak in leaks {
        assert_ne!(forbidden.found_in(leak), Vec::<&str>::new(), "{leak}");
    }
    assert_eq!(forbidden.found_in("whsec_ 260 120 12.26s"), ["secret's length"]);
    assert_eq!(forbidden.found_in("whsec_ 260 120 0123456"), Vec::<&str>::new());
}

#[test]
fn secrets_and_what_is_made_of_them() {
    let (circa, circularo) = (circa_secret(), circularo_secret());
    let mut printed = Printed::default();
    let secret = Secret::new(&circa).unwrap().labeled("current");
    let secrets = Secrets::new([secret.clone(), Secret::new(&circularo).unwrap()]).unwrap();
    printed.debug("Secret", &secret);
    printed.debug("Secrets", &secrets);
    printed.debug("Verifier", &Verifier::circa(secrets.clone()));
    let builder = || Receiver::circa(secrets.clone()).clock(FakeClock::at(NOW));
    printed.debug("Builder", &builder());
    printed.debug("Receiver", &builder().build().unwrap());
    printed.debug("CircaSigner", &CircaSigner::new(&circa).and(&circularo));
    printed.debug("CircularoSigner", &CircularoSigner::new(&circularo));
    printed.both("SharedBetweenSenders", &secrets.ensure_distinct(&secret.into()).unwrap_err());
    printed.both("TooMany", &Secrets::new((0..9).map(|_| Secret::new(&circa).unwrap())).unwrap_err());
    printed.assert_free_of(&forbidden(&[]));
}

/// The reason of a refusal says what to do, and nothing of the secret, good or bad.
#[test]
fn refused_secrets() {
    let long = "cIrCuL4r0-S3cReT!".repeat(757);
    let refused = [
        ("outer white space", format!(" {long}")),
        ("line feed at the end", format!("{long}\n")),
        ("NUL", format!("{long}\0")),
        ("control character", format!("{long}\u{7}{long}")),
        ("short", "Sh0rt-S3cReT".to_owned()),
        ("blank", " ".repeat(1_237)),
    ];
    for (name, secret) in refused {
        let mut forbidden = Forbidden::default();
        forbidden.secret(name, secret.as_bytes());
        let error = Secret::new(&secret).unwrap_err();
        let mut printed = Printed::default();
        printed.both(name, &error);
        printed.both(name, &ConfigError::from(error));
        printed.assert_free_of(&forbidden);
    }
    // What cargo sets for every test: too short for a secret.
    let error = Secret::from_env("CARGO_PKG_VERSION").unwrap_err();
    assert!(error.to_string().contains("CARGO_PKG_VERSION"));
    assert!(!format!("{error} {error:?}").contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn verified_deliveries_and_refusals() {
    let body = circa_body("evt_1", "webhook.test", "{}");
    let right = CircaSigner::new(circa_secret()).sign(NOW, body.as_bytes());
    let forged = forger().sign(NOW, body.as_bytes());
    let mut printed = Printed::default();
    let verify = |signature: &str, now| {
        let headers = [("circa-signature", signature.as_bytes())];
        circa_verifier()
            .verify(headers, body.clone(), unix_time(now))
            .map(|verified| format!("{verified:?} {verified:#?}"))
    };
    printed.both("Verified", &verify(&right, NOW).unwrap());
    printed.both("a mismatch", &verify(&forged, NOW).unwrap_err());
    printed.both("stale", &verify(&right, NOW + 1_000).unwrap_err());
    printed.both("malformed", &verify(&right[..right.len() - 1], NOW).unwrap_err());
    let headers = [("circa-signature", right.as_bytes())];
    printed.debug(
        "Verified of bytes",
        &circa_verifier().verify(headers, Bytes::from(body.clone()), unix_time(NOW)).unwrap(),
    );
    printed.debug("the answer", &Outcome::Rejected(Rejection::SignatureMismatch).response());
    printed.assert_free_of(&forbidden(&[body]));
}

#[test]
fn events_and_their_data() {
    fn typed<T: EventData + fmt::Debug>(printed: &mut Printed, event: &AnyEvent) {
        assert_eq!(event.event_type(), T::TYPE);
        let typed = Event::<T>::try_from(event.clone()).unwrap();
        printed.debug(&format!("Event of {}", T::TYPE), &typed);
        // Typed data shows ids, which are of the body; of free text it shows nothing.
        let shown = format!("{:?}", typed.data());
        assert!(!shown.contains("message:") && !shown.contains(" actor:"), "{shown}");
    }

    let mut printed = Printed::default();
    let bodies = circa_bodies();
    for body in &bodies {
        let event = circa_event(body);
        printed.debug("AnyEvent", &event);
        printed.debug("EventKind", &event.kind());
        match event.event_type() {
            "webhook.test" => typed::<WebhookTest>(&mut printed, &event),
            _ => typed::<DatapointPulled>(&mut printed, &event),
        }
        // serde's own errors quote what they did not like.
        let error: DecodeError = event.decode::<u8>().unwrap_err();
        printed.both("DecodeError", &error);
        printed.both("ExtractError", &ExtractError::from(error));
        printed.both("HandlerError", &HandlerError::permanent(error));
    }
    type Print = fn(&mut Printed, &AnyEvent);
    let types: [(&str, Print); 11] = [
        ("documentCreated", typed::<DocumentCreated>),
        ("documentEdited", typed::<DocumentEdited>),
        ("documentDeleted", typed::<DocumentDeleted>),
        ("signRequest", typed::<SignRequest>),
        ("signDelegated", typed::<SignDelegated>),
        ("signRejected", typed::<SignRejected>),
        ("signExpired", typed::<SignExpired>),
        ("signCancelled", typed::<SignCancelled>),
        ("documentSigned", typed::<DocumentSigned>),
        ("documentCompleted", typed::<DocumentCompleted>),
        ("documentSimpleActionExecuted", typed::<DocumentSimpleActionExecuted>),
    ];
    let circularo: Vec<_> = types.iter().map(|(event_type, _)| circularo_body(event_type)).collect();
    for ((_, typed), body) in types.iter().zip(&circularo) {
        let event = circularo_event(body);
        typed(&mut printed, &event);
        printed.debug("Actor", &event.actor().unwrap());
        printed.debug("Timestamp", &event.timestamp().unwrap());
    }
    printed.assert_free_of(&forbidden(&[bodies, circularo].concat()));
}

#[tokio::test]
async fn what_a_receiver_hands_out() {
    async fn handler(_: AnyEvent, (): ()) -> Result<(), HandlerError> {
        Ok(())
    }

    let body = circa_body("evt_1", "webhook.test", "{}");
    let receiver = Receiver::circa(Secret::new(circa_secret()).unwrap()).clock(FakeClock::at(NOW)).build().unwrap();
    let routes = Routes::new().fallback(handler);
    let headers = [("circa-signature", CircaSigner::new(circa_secret()).sign(NOW, body.as_bytes()))];
    let mut printed = Printed::default();
    let reception = receiver.receive(&("POST", &headers[..]), Chunks::of(&body.clone().into(), 10), &routes).await;
    printed.debug("Reception", &reception);
    let Reception::Admitted(admitted, portable) = reception else { panic!("{reception:?}") };
    printed.debug("PortableHandler", portable);
    printed.debug("Routes", &routes);
    printed.debug("Admitted", &admitted);
    printed.debug("Delivery", admitted.delivery());
    printed.debug("AnyEvent", &circa_receiver::adapter::extract::<AnyEvent>(Some(admitted.delivery())).unwrap());
    let portable = portable.clone();
    let (task, answer) = admitted.run(move |delivery| portable.call(delivery, ()));
    printed.debug("Answer", &answer);
    let response = answer.wait_for(tokio::spawn(task)).await;
    printed.debug("Response", &response);
    let key = Key::new("circa", "evt_1");
    printed.debug("Key", &key);
    let (lease, fingerprint) = (Duration::from_secs(60), Fingerprint::from_bytes([0; 32]));
    printed.debug("ClaimRequest", &ClaimRequest::new(&key, fingerprint, Nonce::new(1), lease, lease));
    printed.debug("MemoryStore", &MemoryStore::default());
    printed.debug("Receiver", &receiver);
    printed.debug("Sender", &Sender::CIRCA);
    printed.assert_free_of(&forbidden(&[body]));
}

#[test]
fn diagnoses() {
    let body = circa_body("evt_1", "webhook.test", "{}");
    let signature = CircaSigner::new(&circa_secret()[6..]).sign(NOW, body.as_bytes());
    let [secrets, others] = [circa_secret(), circularo_secret()].map(|secret| Secret::new(secret).unwrap().into());
    let mismatch = Mismatch::new(Sender::CIRCA, signature.as_bytes(), body.as_bytes(), &secrets).unwrap();
    let mismatch = mismatch.other(Origin::OtherSender, &others);
    let mut printed = Printed::default();
    printed.debug("Mismatch", &mismatch);
    printed.both("Diagnosis", &mismatch.diagnose());
    printed.assert_free_of(&forbidden(&[body]));
}

#[test]
fn signed_requests() {
    let body = circa_body("evt_1", "webhook.test", "{}");
    let request = SignedRequest::circa(&CircaSigner::new(circa_secret()), body.clone()).signed_at(NOW);
    let mut printed = Printed::default();
    printed.debug("SignedRequest", &request);
    printed.debug("SignedRequest, tampered", &request.tampered(circa_body("evt_2", "webhook.test", "{}")));
    printed.assert_free_of(&forbidden(&[body]));
}
