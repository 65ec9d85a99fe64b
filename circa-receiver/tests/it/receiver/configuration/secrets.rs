//! Secrets that rotate: any may match, they are swapped as one set, and who matched is told without
//! showing it.

use circa_receiver::{
    Receiver, Secret, SecretError, Secrets,
    testing::{CircaSigner, CircularoSigner, FakeClock},
};

use super::unsigned;
use crate::support::receiving::{
    Body, Endpoint, Gate, HANDLED, NOW, OTHER_SECRET, Request, SECRET, Step, UNAUTHORIZED, answer, circa, circa_body,
    circularo, circularo_body, seconds, settle,
};

fn secret(n: usize) -> String {
    format!("whsec_rotated_0123456789abcdef_{n}")
}

/// Contract, section 4: several secrets rotate: any may match; the outcome says which one, by label
/// or position, never by content.
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

/// Contract, section 2: the delivery is authentic if ANY well-formed `v1` matches under ANY
/// configured secret.
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

/// Contract, section 4: they can be swapped while requests are in flight; every request uses one
/// consistent set.
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
    // Positions are those of the set that was used: of the old one #0 and #1, of the new one #1 and
    // #0.
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

/// Swapping under load: every delivery is signed by a secret that is in every set, so none may be
/// refused.
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

/// A receiver that was built unsigned stays unsigned, whatever secrets it is given: it was
/// dangerous by name.
#[tokio::test]
async fn an_unsigned_receiver_stays_unsigned() {
    let endpoint = Endpoint::new(unsigned(), Gate::open().routes());
    endpoint.receiver.replace_secrets(Secret::new(SECRET).unwrap());
    let request = Request::circularo(circularo_body("doc")).without("x-circularo-signature");
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
}

/// Contract, section 4: the same secret for both senders in one process is refused where both are
/// built from one configuration.
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

/// Contract, section 2: the key is the whole secret string as bytes, `whsec_` included; no variants
/// tried.
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
