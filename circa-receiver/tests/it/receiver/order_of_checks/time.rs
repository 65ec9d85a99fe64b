//! The checks of the signed time, and of the clock.

use circa_receiver::testing::{CircaSigner, FakeClock};

use crate::support::receiving::{
    Body, Endpoint, Gate, HANDLED, NOW, OTHER_SECRET, Request, SECRET, Step, UNAUTHORIZED, UNAVAILABLE, answer, circa,
    circa_body, circularo, circularo_body, seconds,
};

/// Contract, section 1: a clock before 1970: `clock_error`, 503. Section 3: the MAC is checked
/// first.
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

/// Contract, section 3: both sides inclusive, future and past alike; the reason tells the signed
/// skew in seconds.
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
