//! Properties of verification, over generated deliveries.

use std::time::Duration;

use circa_receiver::{
    AnyEvent, Rejection, Secret, Secrets, Verifier,
    testing::{CircaSigner, CircularoSigner, unix_time},
};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use crate::support::{
    generated::{bytes, config, secret},
    header::{self, BODY, OTHER_SECRET, SECRET, header, hex, unhex},
    json::nearly_json,
};

const NOW: i64 = 1_747_000_800;

/// A verifier that takes any signed time: what it refuses, it refuses for the signature.
fn timeless(secret: Secret) -> Verifier {
    Verifier::circa(secret).dangerous_tolerance(None)
}

fn verify_circa(verifier: &Verifier, header: &[u8], body: &[u8], now: i64) -> Result<Option<i64>, Rejection> {
    verifier.verify([("Circa-Signature", header)], body, unix_time(now)).map(|verified| verified.signed_at())
}

fn verify_circularo(verifier: &Verifier, header: &[u8], body: &[u8]) -> Result<(), Rejection> {
    verifier.verify([("X-Circularo-Signature", header)], body, unix_time(NOW)).map(drop)
}

/// One bit of `bytes` changed.
fn flip(bytes: &mut [u8], bit: Index) {
    let bit = bit.index(bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..=150)
}

/// Any time that can be signed, its ends and its digits' borders more often than chance would have
/// them.
fn time() -> impl Strategy<Value = i64> {
    let borders =
        (0..=18u32).prop_flat_map(|digits| (-1..=1i64).prop_map(move |step| (10_i64.pow(digits) + step).max(0)));
    prop_oneof![0..=i64::MAX, 0..=4_000i64, (0..=4_000i64).prop_map(|below| i64::MAX - below), borders, Just(NOW)]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_circa_signs_is_authentic(key in key(), at in time(), body in bytes(300)) {
        let header = CircaSigner::new(&key).sign(at, &body);
        let verified = verify_circa(&Verifier::circa(secret(&key)), header.as_bytes(), &body, at);
        prop_assert_eq!(verified, Ok(Some(at)));
    }

    #[test]
    fn what_circularo_signs_is_authentic(key in key(), body in bytes(300)) {
        let header = CircularoSigner::new(&key).sign(&body);
        prop_assert_eq!(verify_circularo(&Verifier::circularo(secret(&key)), header.as_bytes(), &body), Ok(()));
    }

    /// Contract, section 2: the MAC is over the bytes of `t` as received and the raw body, under
    /// the whole secret.
    #[test]
    fn one_flipped_bit_is_refused(
        key in key(),
        at in time(),
        body in vec(any::<u8>(), 1..=300),
        bit in any::<Index>(),
    ) {
        let signature = CircaSigner::new(&key).sign(at, &body);
        let circularo = CircularoSigner::new(&key).sign(&body);
        let (verifier, circularo_verifier) = (timeless(secret(&key)), Verifier::circularo(secret(&key)));
        prop_assert_eq!(verify_circa(&verifier, signature.as_bytes(), &body, at), Ok(Some(at)));
        let mismatch = Err(Rejection::SignatureMismatch);
        let circularo_mismatch = Err(Rejection::SignatureMismatch);

        let mut other = body.clone();
        flip(&mut other, bit);
        prop_assert_eq!(verify_circa(&verifier, signature.as_bytes(), &other, at), mismatch, "body");
        let end = verify_circularo(&circularo_verifier, circularo.as_bytes(), &other);
        prop_assert_eq!(end, circularo_mismatch, "body");

        let mut other = key.clone();
        flip(&mut other, bit);
        prop_assert_eq!(verify_circa(&timeless(secret(&other)), signature.as_bytes(), &body, at), mismatch, "secret");

        let (before, mac) = signature.split_once("v1=").unwrap();
        let mut other = unhex(mac);
        flip(&mut other, bit);
        let header = format!("{before}v1={}", hex(&other));
        prop_assert_eq!(verify_circa(&verifier, header.as_bytes(), &body, at), mismatch, "MAC");
        let mut other = unhex(&circularo);
        flip(&mut other, bit);
        let end = verify_circularo(&circularo_verifier, hex(&other).as_bytes(), &body);
        prop_assert_eq!(end, circularo_mismatch, "MAC");

        let mut digits = at.to_string().into_bytes();
        flip(&mut digits, bit);
        let header = [b"t=", &digits[..], b",v1=", mac.as_bytes()].concat();
        let end = verify_circa(&verifier, &header, &body, at);
        prop_assert!(matches!(end, Err(Rejection::SignatureMismatch | Rejection::MalformedSignature)), "time: {end:?}");
    }

    /// Contract, section 2: exactly 64 hex digits, no truncation.
    #[test]
    fn neither_less_nor_more_than_the_mac_verifies(
        body in bytes(50),
        keep in 0..64_usize,
        extension in prop_oneof!["[0-9a-fA-F]{1,70}", "[!-+.-~]{1,10}"],
        upper in any::<bool>(),
    ) {
        let case = |text: &str| if upper { text.to_uppercase() } else { text.to_owned() };
        let verifier = timeless(secret(SECRET.as_bytes()));
        let signature = CircaSigner::new(SECRET).sign(NOW, &body);
        let (before, mac) = signature.split_once("v1=").unwrap();
        let circularo = CircularoSigner::new(SECRET).sign(&body);
        let circularo_verifier = Verifier::circularo(secret(SECRET.as_bytes()));
        let exact = format!("{before}v1={}", case(mac));
        prop_assert_eq!(verify_circa(&verifier, exact.as_bytes(), &body, NOW), Ok(Some(NOW)));
        prop_assert_eq!(verify_circularo(&circularo_verifier, case(&circularo).as_bytes(), &body), Ok(()));
        let malformed = Err(Rejection::MalformedSignature);
        for (text, other) in [
            (case(&mac[..keep]), case(&circularo[..keep])),
            (case(&mac[64 - keep..]), case(&circularo[64 - keep..])),
            (case(mac) + &extension, case(&circularo) + &extension),
            (extension.clone() + &case(mac), extension.clone() + &case(&circularo)),
        ] {
            let header = format!("{before}v1={text}");
            prop_assert_eq!(verify_circa(&verifier, header.as_bytes(), &body, NOW), malformed, "{}", header);
            let expected = if other.is_empty() { Rejection::MissingSignature } else { Rejection::MalformedSignature };
            prop_assert_eq!(verify_circularo(&circularo_verifier, other.as_bytes(), &body), Err(expected), "{}", other);
        }
    }

    /// Contract, section 3: authentic if `|now - t| <= tolerance`; both sides inclusive, future and
    /// past alike.
    #[test]
    fn the_window_is_exact(
        (at, now) in prop_oneof![
            (time(), time()),
            (time(), -3_700..=3_700i64).prop_map(|(at, skew)| (at, at.saturating_add(skew).max(0))),
        ],
        tolerance in prop_oneof![0..=3_600_u64, Just(0), Just(300), Just(3_600)],
        at_the_edge in prop_oneof![Just(None), (-1..=1i64).prop_map(Some)],
    ) {
        // A third of the cases stand at the edge itself, one second within or one second out.
        let now = match at_the_edge {
            Some(step) => at.saturating_add(i64::try_from(tolerance).unwrap()).saturating_add(step).max(0),
            None => now,
        };
        for (at, now) in [(at, now), (now, at)] {
            let verifier = Verifier::circa(secret(SECRET.as_bytes()));
            let verifier = verifier.tolerance(Duration::from_secs(tolerance)).unwrap();
            let header = CircaSigner::new(SECRET).sign(at, b"{}");
            let distance = (i128::from(now) - i128::from(at)).unsigned_abs();
            let expected = if distance <= u128::from(tolerance) {
                Ok(Some(at))
            } else {
                Err(Rejection::Stale { skew_seconds: at - now })
            };
            prop_assert_eq!(verify_circa(&verifier, header.as_bytes(), b"{}", now), expected);
        }
    }

    /// Contract, section 3: the MAC is checked first, so that stale is said only of what is
    /// authentic; section 1: a clock before 1970 is an error.
    #[test]
    fn the_clock_is_judged_after_the_mac(
        at in time(),
        now in prop_oneof![i64::MIN..0, Just(-1), Just(i64::MIN), 0..=i64::MAX],
        forged in any::<bool>(),
    ) {
        let verifier = Verifier::circa(secret(SECRET.as_bytes()));
        let header = CircaSigner::new(if forged { "whsec_other" } else { SECRET }).sign(at, b"{}");
        let expected = match now {
            _ if forged => Err(Rejection::SignatureMismatch),
            ..0 => Err(Rejection::Clock),
            _ if at.abs_diff(now) <= 300 => Ok(Some(at)),
            _ => Err(Rejection::Stale { skew_seconds: at - now }),
        };
        prop_assert_eq!(verify_circa(&verifier, header.as_bytes(), b"{}", now), expected);
    }
}

/// Counts how often a property met an end, so that a generator that misses one is noticed.
fn ends(strategy: impl Strategy<Value = Vec<u8>>, judge: impl Fn(&[u8]) -> &'static str) -> Vec<(&'static str, usize)> {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..1_000 {
        let value = strategy.new_tree(&mut runner).unwrap().current();
        *counts.entry(judge(&value)).or_insert(0) += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn the_generated_headers_meet_every_end() {
    let ends = ends(header(), |value| match header::verify(value, &[SECRET, OTHER_SECRET], BODY) {
        Ok(_) => "authentic",
        Err(rejection) => rejection.reason(),
    });
    let often = |end: &str| ends.iter().any(|(name, count)| *name == end && *count >= 50);
    assert!(["authentic", "signature_mismatch", "malformed_signature"].into_iter().all(often), "{ends:?}");
}

/// What the verifier and the second reading make of a header, with two secrets and at any time.
fn two_readings(value: &[u8]) -> (Result<Option<i64>, Rejection>, Result<Option<i64>, Rejection>) {
    let secrets = Secrets::new([SECRET, OTHER_SECRET].map(|text| secret(text.as_bytes()))).unwrap();
    let verifier = Verifier::circa(secrets).dangerous_tolerance(None);
    (verify_circa(&verifier, value, BODY, NOW), header::verify(value, &[SECRET, OTHER_SECRET], BODY))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..config() })]

    /// Contract, section 2: two readings of the grammar agree on every header near it.
    #[test]
    fn the_header_is_read_as_the_contract_says(value in header()) {
        let (actual, expected) = two_readings(&value);
        prop_assert_eq!(actual, expected, "{:?}", String::from_utf8_lossy(&value));
    }

    /// As above, with any one byte replaced by any other.
    #[test]
    fn the_header_is_read_as_the_contract_says_byte_by_byte(
        mut value in header(),
        at in any::<Index>(),
        byte in any::<u8>(),
    ) {
        prop_assume!(!value.is_empty());
        let at = at.index(value.len());
        value[at] = byte;
        let (actual, expected) = two_readings(&value);
        prop_assert_eq!(actual, expected, "{:?}", String::from_utf8_lossy(&value));
    }
}

const OTHER_HEADERS: [&str; 7] =
    ["circa-event-id", "circa-event", "circa-webhook-id", "circa-signature", "x-circularo-signature", "", "é"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, ..config() })]

    /// Contract, section 1: no input makes the receiver panic.
    #[test]
    fn nothing_panics(
        header in prop_oneof![bytes(200), header(), "[0-9a-f]{60,68}".prop_map(String::into_bytes)],
        others in vec((select(OTHER_HEADERS.to_vec()), bytes(20)), 0..=3),
        body in prop_oneof![bytes(200), nearly_json()],
        now in any::<i64>(),
        tolerance in prop_oneof![Just(None), any::<u64>().prop_map(|seconds| Some(Duration::from_secs(seconds)))],
    ) {
        let circa = Verifier::circa(secret(SECRET.as_bytes())).dangerous_tolerance(tolerance);
        let circularo = Verifier::circularo(secret(SECRET.as_bytes()));
        let unsigned = Verifier::dangerous_circularo_unsigned();
        let right = CircaSigner::new(SECRET).sign(now, &body);
        let right_circularo = CircularoSigner::new(SECRET).sign(&body);
        for (verifier, signature) in [
            (&circa, &header[..]),
            (&circularo, &header[..]),
            (&circa, right.as_bytes()),
            (&circularo, right_circularo.as_bytes()),
            (&unsigned, &header[..]),
        ] {
            let headers = others.iter().map(|(name, value)| (*name, &value[..]));
            let headers = headers.chain([(verifier.sender().signature_header(), signature)]);
            let Ok(verified) = verifier.verify(headers, body.clone(), unix_time(now)) else { continue };
            if let Ok(event) = verified.event() {
                use_every_accessor(&event);
            }
        }
    }
}

fn use_every_accessor(event: &AnyEvent) {
    let _ = (event.id(), event.event_type(), event.kind(), event.raw_data(), event.created(), event.created_at());
    let _ = (event.livemode(), event.team_id(), event.document_id(), event.actor(), event.secret(), event.signed_at());
    let _ = event.timestamp().map(|timestamp| (timestamp.unix_millis(), timestamp.system_time()));
    let _ = (event.webhook_id(), format!("{event:?}"), event.decode::<serde_json::Value>());
    let _ = event.decode::<circa_receiver::event::DatapointPulled>();
    let _ = event.decode::<circa_receiver::event::DocumentSigned>();
}
