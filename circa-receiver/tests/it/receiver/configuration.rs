//! What is refused or warned of when a receiver is built, and secrets that rotate: contract, sections 3 and 4.

use std::time::Duration;

use crate::support::receiving::{
    Body, Endpoint, Gate, HANDLED, NOW, Notes, OTHER_SECRET, Request, SECRET, Step, UNAUTHORIZED, answer, circa,
    circa_body, circularo, circularo_body, seconds, settle,
};
use circa_receiver::{
    Builder, ConfigError, ConfigWarning, Mode, Receiver, Secret, SecretError, Secrets, Sender, ToleranceError,
    testing::{CircaSigner, CircularoSigner, FakeClock},
};

const MILLI: Duration = Duration::from_millis(1);

/// Contract, sections 3 and 4: what cannot be right is refused when the receiver is built.
#[test]
fn nonsense_is_refused_at_build() {
    let tolerance = || ConfigError::Tolerance(ToleranceError);
    let age = || ConfigError::SignedTime;
    let cases: [(&str, Builder, Result<(), ConfigError>); 45] = [
        ("the defaults, Circa", circa(), Ok(())),
        ("the defaults, Circularo", circularo(), Ok(())),
        ("the defaults, unsigned", Receiver::dangerous_circularo_unsigned(), Ok(())),
        // Section 3: 0 means the same second; above 3,600 s, and "off", only through a method with `dangerous` in its name.
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
        ("lease 5 s, ack deadline 4 s", circa().ack_deadline(seconds(4)).lease(seconds(5)), Ok(())),
        ("lease 5 s, ack deadline 4 s, in the other order", circa().lease(seconds(5)).ack_deadline(seconds(4)), Ok(())),
        // What lets nothing through.
        ("body limit 0", circa().body_limit(0), Err(ConfigError::Zero("the body limit"))),
        ("body limit 1", circa().body_limit(1), Ok(())),
        ("no request in flight", circa().max_in_flight(0), Err(ConfigError::Zero("the number of requests in flight"))),
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

fn unsigned() -> Builder {
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

/// Contract, section 4: dedup retention shorter than the sender's retry span (112,350 s for Circa): warn.
#[test]
fn a_retention_below_the_retry_span_is_warned_of() {
    let warning = [ConfigWarning::RetentionBelowRetrySpan];
    let cases: [(&str, Builder, &[ConfigWarning]); 6] = [
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

fn secret(n: usize) -> String {
    format!("whsec_rotated_0123456789abcdef_{n}")
}

/// Contract, section 4: several secrets rotate: any may match; the outcome says which one, by label or position, never by content.
#[tokio::test]
async fn any_secret_may_match_and_the_observer_is_told_which() {
    let labeled = |n: usize| Secret::new(secret(n)).unwrap().labeled(&format!("key {n}"));
    let plain = |n: usize| Secret::new(secret(n)).unwrap();
    let cases: [(&str, Vec<Secret>, usize, Option<&str>); 9] = [
        ("the only one", vec![plain(0)], 0, Some("#0")),
        ("the only one, labelled", vec![labeled(0)], 0, Some("key 0")),
        ("the first of two", vec![plain(0), plain(1)], 0, Some("#0")),
        ("the second of two", vec![plain(0), plain(1)], 1, Some("#1")),
        ("the second of two, labelled", vec![plain(0), labeled(1)], 1, Some("key 1")),
        ("the last of eight", (0..8).map(plain).collect(), 7, Some("#7")),
        ("none of eight", (0..8).map(plain).collect(), 8, None),
        ("a retired one", vec![plain(1)], 0, None),
        ("twice the same", vec![labeled(0), plain(0)], 0, Some("key 0")),
    ];
    for (name, secrets, signs, expected) in cases {
        let builder = Receiver::circa(Secrets::new(secrets).unwrap()).clock(FakeClock::at(NOW));
        let endpoint = Endpoint::new(builder, Gate::open().routes());
        let request = Request::circa("evt_1").resigned(&CircaSigner::new(secret(signs)), NOW);
        let response = answer(&endpoint.deliver(&request).await);
        match expected {
            Some(which) => {
                assert_eq!(response, HANDLED, "{name}");
                assert_eq!(endpoint.notes.count(&format!("authenticated evt_1 by {which}")), 1, "{name}");
            }
            None => {
                assert_eq!(response, UNAUTHORIZED, "{name}");
                assert_eq!(endpoint.notes.reason().as_deref(), Some("signature_mismatch"), "{name}");
            }
        }
        let told = endpoint.notes.all().join("\n");
        assert!(!told.contains("whsec"), "{name}: {told}");
    }
}

/// Contract, section 2: the delivery is authentic if ANY well-formed `v1` matches under ANY configured secret.
#[tokio::test]
async fn any_signature_may_match_any_secret() {
    let configured = [Secret::new(secret(1)).unwrap(), Secret::new(secret(2)).unwrap()];
    let cases: [(&str, &[usize], Option<&str>); 5] = [
        ("the sender signs with both", &[1, 2], Some("#0")),
        ("in the other order", &[2, 1], Some("#0")),
        ("with one that is not configured yet", &[3, 2], Some("#1")),
        ("with the new one last", &[2, 3], Some("#1")),
        ("with none of them", &[3, 4], None),
    ];
    for (name, signs, expected) in cases {
        let builder = Receiver::circa(Secrets::new(configured.clone()).unwrap()).clock(FakeClock::at(NOW));
        let endpoint = Endpoint::new(builder, Gate::open().routes());
        let signer = signs[1..].iter().fold(CircaSigner::new(secret(signs[0])), |signer, n| signer.and(secret(*n)));
        let response = endpoint.deliver(&Request::circa("evt_1").resigned(&signer, NOW)).await;
        assert_eq!(answer(&response), if expected.is_some() { HANDLED } else { UNAUTHORIZED }, "{name}");
        if let Some(which) = expected {
            assert_eq!(endpoint.notes.count(&format!("authenticated evt_1 by {which}")), 1, "{name}");
        }
    }
}

/// Contract, section 4: they can be swapped while requests are in flight; every request uses one consistent set.
#[tokio::test(start_paused = true)]
async fn secrets_swapped_while_a_body_is_read_are_used_as_one_set() {
    let old = Secrets::new([secret(0), SECRET.to_owned()].map(|secret| Secret::new(secret).unwrap())).unwrap();
    let new = Secrets::new([SECRET.to_owned(), secret(1)].map(|secret| Secret::new(secret).unwrap())).unwrap();
    let builder = Receiver::circa(old).clock(circa_receiver::testing::TokioClock::starting_at(NOW));
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    let reading = |id: &'static str, signer: CircaSigner| {
        let endpoint = endpoint.clone();
        let request = Request::circa(id).resigned(&signer, NOW);
        let body = circa_body(id);
        let (first, rest) = body.split_at(20);
        let chunk = |part: &str| Step::Chunk(part.to_owned().into());
        let body = Body::new([chunk(first), Step::Pause(seconds(5)), chunk(rest)]);
        tokio::spawn(async move { answer(&endpoint.deliver_with(&request, body).await) })
    };
    let by_old = reading("evt_old", CircaSigner::new(secret(0)));
    let by_new = reading("evt_new", CircaSigner::new(secret(1)));
    let by_both = reading("evt_both", CircaSigner::new(secret(0)).and(secret(1)));
    let by_kept = reading("evt_kept", CircaSigner::new(SECRET));
    settle().await;
    endpoint.receiver.clone().replace_secrets(new);
    for (id, signs, expected) in [("evt_1", 1, HANDLED), ("evt_2", 0, UNAUTHORIZED)] {
        let request = Request::circa(id).resigned(&CircaSigner::new(secret(signs)), NOW);
        assert_eq!(answer(&endpoint.deliver(&request).await), expected, "{id}: the new set counts at once");
    }
    // Old or new, as it is documented: but one of them, as a whole.
    let accepted = [by_old.await.unwrap(), by_new.await.unwrap()].map(|answer| answer == HANDLED);
    assert_ne!(accepted[0], accepted[1], "old and new at once, or neither");
    assert_eq!(by_both.await.unwrap(), HANDLED);
    assert_eq!(by_kept.await.unwrap(), HANDLED, "a secret that is in both sets always counts");
    // Positions are those of the set that was used: of the old one #0 and #1, of the new one #1 and #0.
    let (both, kept) = if accepted[0] { ("#0", "#1") } else { ("#1", "#0") };
    assert_eq!(endpoint.notes.count(&format!("authenticated evt_both by {both}")), 1);
    assert_eq!(endpoint.notes.count(&format!("authenticated evt_kept by {kept}")), 1);
}

/// As above: positions and labels are those of the new set.
#[tokio::test]
async fn replaced_secrets_bring_their_own_labels() {
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    let new = Secrets::new([Secret::new(OTHER_SECRET).unwrap().labeled("new"), Secret::new(SECRET).unwrap()]).unwrap();
    endpoint.receiver.replace_secrets(new);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    let by_new = Request::circa("evt_2").resigned(&CircaSigner::new(OTHER_SECRET), NOW);
    assert_eq!(answer(&endpoint.deliver(&by_new).await), HANDLED);
    assert_eq!(endpoint.notes.count("authenticated evt_1 by #1"), 1);
    assert_eq!(endpoint.notes.count("authenticated evt_2 by new"), 1);
}

/// Swapping under load: every delivery is signed by a secret that is in every set, so none may be refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swapping_secrets_under_load_refuses_no_good_delivery() {
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    let set = |other: usize| Secrets::new([Secret::new(secret(other)).unwrap(), Secret::new(SECRET).unwrap()]).unwrap();
    let swapping = {
        let receiver = endpoint.receiver.clone();
        tokio::spawn(async move {
            for round in 0..500 {
                receiver.replace_secrets(set(round % 3));
                tokio::task::yield_now().await;
            }
        })
    };
    let waiting: Vec<_> = (0..200).map(|index| endpoint.spawn(&Request::circa(&format!("evt_{index}")))).collect();
    for response in waiting {
        assert_eq!(answer(&response.await.unwrap()), HANDLED);
    }
    swapping.await.unwrap();
}

/// A receiver that was built unsigned stays unsigned, whatever secrets it is given: it was dangerous by name.
#[tokio::test]
async fn an_unsigned_receiver_stays_unsigned() {
    let endpoint = Endpoint::new(unsigned(), Gate::open().routes());
    endpoint.receiver.replace_secrets(Secret::new(SECRET).unwrap());
    let request = Request::circularo(circularo_body("doc")).without("x-circularo-signature");
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
}

/// Contract, section 4: the same secret for both senders in one process is refused where both are built from one configuration.
#[test]
fn one_secret_for_both_senders_is_refused() {
    let set = |numbers: &[usize]| Secrets::new(numbers.iter().map(|n| Secret::new(secret(*n)).unwrap())).unwrap();
    let shared = Err(SecretError::SharedBetweenSenders);
    type Numbers = &'static [usize];
    let cases: [(&str, Numbers, Numbers, Result<(), SecretError>); 5] = [
        ("each its own", &[0], &[1], Ok(())),
        ("the same", &[0], &[0], shared.clone()),
        ("one of several", &[0, 1, 2], &[3, 2], shared.clone()),
        ("the last of eight", &[0, 1, 2, 3, 4, 5, 6, 7], &[8, 7], shared),
        ("several, each its own", &[0, 1], &[2, 3], Ok(())),
    ];
    for (name, circa, circularo, expected) in cases {
        assert_eq!(set(circa).ensure_distinct(&set(circularo)), expected, "{name}");
        assert_eq!(set(circularo).ensure_distinct(&set(circa)), expected, "{name}, the other way round");
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

/// Contract, section 2: the key is the whole secret string as bytes, `whsec_` included; no variants tried.
#[tokio::test]
async fn the_whole_secret_is_the_key() {
    let stripped = SECRET.strip_prefix("whsec_").unwrap();
    for (name, signs, expected) in [("whole", SECRET, HANDLED), ("without its prefix", stripped, UNAUTHORIZED)] {
        let of_circa = Request::circa("evt_1").resigned(&CircaSigner::new(signs), NOW);
        let endpoint = Endpoint::new(circa(), Gate::open().routes());
        assert_eq!(answer(&endpoint.deliver(&of_circa).await), expected, "Circa, {name}");

        let body = circularo_body("doc");
        let signature = CircularoSigner::new(signs).sign(body.as_bytes());
        let of_circularo = Request::circularo(body).replace("x-circularo-signature", signature);
        let endpoint = Endpoint::new(circularo(), Gate::open().routes());
        assert_eq!(answer(&endpoint.deliver(&of_circularo).await), expected, "Circularo, {name}");
    }
}
