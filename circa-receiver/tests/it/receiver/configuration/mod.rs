//! What is refused or warned of when a receiver is built, and secrets that rotate: contract,
//! sections 3 and 4.

mod secrets;

use std::time::Duration;

use circa_receiver::{
    ConfigError, ConfigWarning, Mode, Receiver, ReceiverBuilder, Secret, Secrets, Sender, ToleranceError,
    testing::{CircaSigner, FakeClock},
};

use crate::support::receiving::{
    Endpoint, Gate, HANDLED, NOW, Notes, OTHER_SECRET, Request, SECRET, UNAUTHORIZED, answer, circa, circularo,
    circularo_body, seconds,
};

const MILLI: Duration = Duration::from_millis(1);

/// Contract, sections 3 and 4: what cannot be right is refused when the receiver is built.
#[test]
fn nonsense_is_refused_at_build() {
    let tolerance = || ConfigError::Tolerance(ToleranceError);
    let age = || ConfigError::SignedTime;
    let cases: [(&str, ReceiverBuilder, Result<(), ConfigError>); 47] = [
        ("the defaults, Circa", circa(), Ok(())),
        ("the defaults, Circularo", circularo(), Ok(())),
        ("the defaults, unsigned", Receiver::dangerous_circularo_unsigned(), Ok(())),
        // Section 3: 0 means the same second; above 3,600 s, and "off", only through a method with
        // `dangerous` in its name.
        ("tolerance 0", circa().tolerance(Duration::ZERO), Ok(())),
        ("tolerance 3,600 s", circa().tolerance(seconds(3_600)), Ok(())),
        ("tolerance 3,600 s and a bit", circa().tolerance(seconds(3_600) + MILLI), Err(tolerance())),
        ("tolerance 3,601 s", circa().tolerance(seconds(3_601)), Err(tolerance())),
        ("tolerance without end", circa().tolerance(Duration::MAX), Err(tolerance())),
        ("dangerous tolerance 3,601 s", circa().dangerous_tolerance(Some(seconds(3_601))), Ok(())),
        ("dangerous tolerance off", circa().dangerous_tolerance(None), Ok(())),
        ("the last tolerance counts", circa().dangerous_tolerance(None).tolerance(seconds(3_601)), Err(tolerance())),
        // Circularo signs no time and has no mode; Circa signs the time of every attempt.
        ("tolerance for Circularo", circularo().tolerance(seconds(300)), Err(ConfigError::NoSignedTime)),
        ("dangerous tolerance for Circularo", circularo().dangerous_tolerance(None), Err(ConfigError::NoSignedTime)),
        ("mode any for Circularo", circularo().mode(Mode::Any), Ok(())),
        ("mode live for Circularo", circularo().mode(Mode::Live), Err(ConfigError::NoLivemode)),
        ("mode test for Circularo", circularo().mode(Mode::Test), Err(ConfigError::NoLivemode)),
        ("tolerance for unsigned", unsigned().tolerance(seconds(300)), Err(ConfigError::NoSignedTime)),
        ("mode live for unsigned", unsigned().mode(Mode::Live), Err(ConfigError::NoLivemode)),
        ("event age for Circularo", circularo().max_event_age(seconds(600)), Ok(())),
        ("event age for unsigned", unsigned().max_event_age(seconds(600)), Ok(())),
        ("event age for Circa", circa().max_event_age(seconds(600)), Err(age())),
        // Section 4: ack deadline not shorter than 15 s: error.
        ("ack deadline 14.999 s", circa().ack_deadline(seconds(15) - MILLI), Ok(())),
        ("ack deadline 15 s", circa().ack_deadline(seconds(15)), Err(ConfigError::AckDeadline)),
        (
            "ack deadline 15 s, long lease",
            circa().ack_deadline(seconds(15)).lease(seconds(90)),
            Err(ConfigError::AckDeadline),
        ),
        ("ack deadline 15 s, Circularo", circularo().ack_deadline(seconds(15)), Err(ConfigError::AckDeadline)),
        // Section 4: lease not longer than the ack deadline: error.
        ("lease 10.001 s", circa().lease(seconds(10) + MILLI), Ok(())),
        ("lease as the default ack deadline", circa().lease(seconds(10)), Err(ConfigError::Lease)),
        ("lease 0", circa().lease(Duration::ZERO), Err(ConfigError::Lease)),
        ("lease 5 s, ack deadline 5 s", circa().ack_deadline(seconds(5)).lease(seconds(5)), Err(ConfigError::Lease)),
        (
            "lease 5 s, ack deadline 4 s",
            circa().ack_deadline(seconds(4)).lease(seconds(5)).store_timeout(seconds(1)),
            Ok(()),
        ),
        (
            "lease 5 s, ack deadline 4 s, in the other order",
            circa().lease(seconds(5)).ack_deadline(seconds(4)).store_timeout(seconds(1)),
            Ok(()),
        ),
        ("lease three times the store timeout", circa().lease(seconds(12)).store_timeout(seconds(4)), Ok(())),
        (
            "lease below three times the store timeout",
            circa().lease(seconds(11)).store_timeout(seconds(4)),
            Err(ConfigError::LeaseBelowStoreTimeout),
        ),
        // What lets nothing through.
        ("body limit 0", circa().body_limit(0), Err(ConfigError::Zero("the body limit"))),
        ("body limit 1", circa().body_limit(1), Ok(())),
        (
            "no request in flight",
            circa().max_in_flight(0),
            Err(ConfigError::Zero("the number of deliveries in flight")),
        ),
        ("one request in flight", circa().max_in_flight(1), Ok(())),
        ("read deadline 0", circa().read_deadline(Duration::ZERO), Err(ConfigError::Zero("the read deadline"))),
        ("ack deadline 0", circa().ack_deadline(Duration::ZERO), Err(ConfigError::Zero("the ack deadline"))),
        ("store timeout 0", circa().store_timeout(Duration::ZERO), Err(ConfigError::Zero("the store timeout"))),
        ("retention 0", circa().retention(Duration::ZERO), Err(ConfigError::Zero("the retention"))),
        ("drain deadline 0", circa().drain_deadline(Duration::ZERO), Ok(())),
        ("no endpoint name", circa().endpoint(""), Err(ConfigError::Endpoint)),
        ("a name of one letter", circa().endpoint("a"), Ok(())),
        ("a short retention, Circa", circa().retention(seconds(1)), Ok(())),
        ("a short retention, Circularo", circularo().retention(seconds(1)), Ok(())),
        ("a read deadline beyond the ack deadline", circa().read_deadline(seconds(60)), Ok(())),
    ];
    for (name, builder, expected) in cases {
        assert_eq!(builder.build().map(drop), expected, "{name}");
    }
}

fn unsigned() -> ReceiverBuilder {
    Receiver::dangerous_circularo_unsigned()
}

/// The largest values are no nonsense, and overflow nothing when a delivery comes.
#[tokio::test]
async fn the_largest_values_work() {
    let builder = circa()
        .body_limit(usize::MAX)
        .read_deadline(Duration::MAX)
        .store_timeout(Duration::MAX)
        .drain_deadline(Duration::MAX)
        .lease(Duration::MAX)
        .retention(Duration::MAX)
        .dangerous_tolerance(Some(Duration::MAX));
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    endpoint.receiver.shutdown().await;
    let builder = circa().max_in_flight(usize::MAX);
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    let builder = circularo().max_event_age(Duration::MAX);
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circularo(circularo_body("doc"))).await), HANDLED);
}

/// Contract, section 4: refused with an error that says what to do, and that shows no secret.
#[test]
fn each_error_says_what_to_do() {
    let cases = [
        (circa().tolerance(seconds(3_601)).build().unwrap_err(), "dangerous_tolerance"),
        (circularo().tolerance(seconds(300)).build().unwrap_err(), "max_event_age"),
        (circularo().mode(Mode::Live).build().unwrap_err(), "Mode::Any"),
        (circa().max_event_age(seconds(1)).build().unwrap_err(), "tolerance"),
        (circa().ack_deadline(seconds(15)).build().unwrap_err(), "15 s"),
        (circa().lease(seconds(1)).build().unwrap_err(), "longer than the ack deadline"),
        (circa().body_limit(0).build().unwrap_err(), "the body limit must be greater than zero"),
        (circa().endpoint("").build().unwrap_err(), "endpoint name"),
        (ConfigError::from(Secret::new("short").unwrap_err()), "dangerous_short"),
    ];
    for (error, advice) in cases {
        let text = error.to_string();
        assert!(text.contains(advice), "{error:?}: {text}");
        assert!(!text.contains(SECRET) && !format!("{error:?}").contains(SECRET), "{error:?}");
    }
}

/// Contract, section 4: dedup retention shorter than the sender's retry span (112,350 s for Circa):
/// warn.
#[test]
fn a_retention_below_the_retry_span_is_warned_of() {
    let warning = [ConfigWarning::RetentionBelowRetrySpan];
    let cases: [(&str, ReceiverBuilder, &[ConfigWarning]); 6] = [
        ("the default", circa(), &[]),
        ("112,350 s", circa().retention(seconds(112_350)), &[]),
        ("a bit less", circa().retention(seconds(112_350) - MILLI), &warning),
        ("an hour", circa().retention(seconds(3_600)), &warning),
        // No retry is documented for Circularo.
        ("an hour, Circularo", circularo().retention(seconds(3_600)), &[]),
        ("an hour, unsigned", unsigned().retention(seconds(3_600)), &[]),
    ];
    for (name, builder, expected) in cases {
        let notes = Notes::default();
        let receiver = builder.endpoint("billing").observer(notes.clone()).observer(notes.clone()).build().unwrap();
        assert_eq!(receiver.warnings(), expected, "{name}");
        // Every observer is told.
        let told = expected.iter().flat_map(|warning| {
            let line = format!("warning at billing: {warning:?}");
            [line.clone(), line]
        });
        assert_eq!(notes.all(), told.collect::<Vec<_>>(), "{name}");
    }
    assert!(ConfigWarning::RetentionBelowRetrySpan.to_string().contains("retention"));
}

/// Secrets that are odd are taken as they are, and every observer is told: at build, and when they
/// are replaced.
#[test]
fn odd_secrets_are_warned_of() {
    let cases = [
        ("plain", "whsec_0123456789abcdef", None),
        ("hex", "whsec_5b7c1f0e9a2d4c6b8e3f7a1d0c9b2e4f", None),
        ("in double quotes", "\"whsec_0123456789abcdef\"", Some(ConfigWarning::SecretInQuotes)),
        ("in single quotes", "'whsec_0123456789abcdef'", Some(ConfigWarning::SecretInQuotes)),
        ("with a version", "v1,whsec_0123456789abcdef", Some(ConfigWarning::SecretWithVersion)),
        ("base64", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx0w==", Some(ConfigWarning::SecretLooksLikeBase64)),
        ("base64 without padding", "whsec_MfKQ9r8GKYqr/wjUPD8ILPZI", Some(ConfigWarning::SecretLooksLikeBase64)),
    ];
    for (name, text, expected) in cases {
        let (notes, secret) = (Notes::default(), || Secret::new(text).unwrap());
        let receiver = Receiver::circa(secret()).endpoint("billing").observer(notes.clone()).build().unwrap();
        assert_eq!(receiver.warnings(), expected.as_slice(), "{name}");
        receiver.replace_secrets(secret());
        let told = expected.iter().flat_map(|warning| vec![format!("warning at billing: {warning:?}"); 2]);
        assert_eq!(notes.all(), told.collect::<Vec<_>>(), "{name}");
        assert!(!format!("{:?}", expected.map(|warning| warning.to_string())).contains(text), "{name}");
    }
}

/// What is built tells what it is.
#[test]
fn a_receiver_tells_its_sender_and_endpoint() {
    let cases = [
        (circa(), Sender::CIRCA, "circa"),
        (circularo(), Sender::CIRCULARO, "circularo"),
        (unsigned(), Sender::CIRCULARO, "circularo"),
        (circa().endpoint("billing"), Sender::CIRCA, "billing"),
    ];
    for (builder, sender, endpoint) in cases {
        let receiver = builder.build().unwrap();
        assert_eq!((receiver.sender(), receiver.endpoint()), (sender, endpoint));
    }
}

/// Contract, section 4: `Debug` never holds a secret, its length or hash.
#[tokio::test]
async fn debug_shows_no_secret() {
    let secrets = || Secrets::new([Secret::new(SECRET).unwrap().labeled("current")]).unwrap();
    let builder = Receiver::circa(secrets());
    let receiver = Receiver::circa(secrets()).build().unwrap();
    for text in [format!("{builder:?}"), format!("{receiver:?}"), format!("{:?}", secrets()), format!("{receiver:#?}")]
    {
        assert!(!text.contains("whsec") && !text.contains("0123456789"), "{text}");
        assert!(!text.contains(&SECRET.len().to_string()), "{text}");
    }
}

/// Contract, section 3: "off" means that the signed time is not judged; the MAC is.
#[tokio::test]
async fn a_dangerous_tolerance_lifts_only_the_time() {
    let cases = [
        ("off, a day old", None, 86_400, HANDLED),
        ("off, from 1970", None, NOW, HANDLED),
        ("a day, a day old", Some(86_400), 86_400, HANDLED),
        ("a day, older", Some(86_400), 86_401, UNAUTHORIZED),
    ];
    for (name, tolerance, age, expected) in cases {
        let builder = circa().dangerous_tolerance(tolerance.map(seconds)).clock(FakeClock::at(NOW));
        let endpoint = Endpoint::new(builder, Gate::open().routes());
        let request = |secret: &str| Request::circa("evt_1").resigned(&CircaSigner::new(secret), NOW - age);
        assert_eq!(answer(&endpoint.deliver(&request(SECRET)).await), expected, "{name}");
        assert_eq!(answer(&endpoint.deliver(&request(OTHER_SECRET)).await), UNAUTHORIZED, "{name}, forged");
    }
}
