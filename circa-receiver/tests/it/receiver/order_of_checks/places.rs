//! The places among the authentic deliveries in flight: taken after the signed time was judged, and
//! always given back.

use super::{TABLE, circa_request, deliver, endpoint};
use crate::support::receiving::{Body, Endpoint, Gate, HANDLED, Request, Step, UNAVAILABLE, answer, circa, settle};

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

/// Contract, section 1a: a body that is waited for holds no place; a sender that hangs up gives its
/// place back.
#[tokio::test(start_paused = true)]
async fn a_dropped_request_gives_its_place_back() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa().max_in_flight(1), gate.routes());
    let reading = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.deliver_with(&Request::circa("evt_1"), Body::new([Step::Stall])).await }
    });
    settle().await;
    gate.let_go(1);
    assert_eq!(
        answer(&endpoint.deliver(&Request::circa("evt_2")).await),
        HANDLED,
        "nobody owns a place before the MAC"
    );
    gate.arrival().await;
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

/// Contract, section 1, check 5: hanging up makes no room as long as the claim is not decided, so
/// replays of one delivery cannot pile up behind a handler.
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
