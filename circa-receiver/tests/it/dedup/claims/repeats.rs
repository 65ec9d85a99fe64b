//! Deliveries of an event that is done: duplicates, for as long as it is remembered.

use std::sync::Arc;

use circa_receiver::{
    DedupStore, MemoryStore,
    testing::{CircaSigner, FakeClock},
};

use super::RETENTION;
use crate::support::receiving::{
    DUPLICATE, Endpoint, Gate, HANDLED, NOW, Request, SECRET, answer, circa, circa_body, circularo, circularo_body,
    header, seconds,
};

/// Contract, section 7: done -> 200 `duplicate`.
#[tokio::test]
async fn the_same_event_again_is_a_duplicate() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let first = endpoint.deliver(&Request::circa("evt_1")).await;
    assert_eq!(answer(&first), HANDLED);
    for _ in 0..3 {
        let again = endpoint.deliver(&Request::circa("evt_1")).await;
        assert_eq!(answer(&again), DUPLICATE);
        assert_eq!(header(&again, "circa-receiver-outcome"), Some("duplicate"));
    }
    assert_eq!(gate.started(), 1);
    assert_eq!(endpoint.notes.count("duplicate same_body=true"), 3);
}

/// A retry is signed anew; it is the same event all the same.
#[tokio::test]
async fn a_retry_with_another_signature_is_the_same_event() {
    let endpoint = Endpoint::new(circa(), Gate::open().routes());
    let request = Request::circa("evt_1");
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
    let retry = request.resigned(&CircaSigner::new(SECRET), NOW + 30);
    assert_eq!(answer(&endpoint.deliver(&retry).await), DUPLICATE);
}

/// Contract, section 5: Circularo's event id is the SHA-256 of the body: the same bytes are one
/// event, any other byte is another.
#[tokio::test]
async fn circularos_events_are_told_apart_by_their_bytes() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circularo(), gate.routes());
    let request = Request::circularo(circularo_body("doc"));
    assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED);
    assert_eq!(answer(&endpoint.deliver(&request).await), DUPLICATE);
    let spaced = Request::circularo(circularo_body("doc") + " ");
    assert_eq!(answer(&endpoint.deliver(&spaced).await), HANDLED);
    assert_eq!(gate.started(), 2);
}

/// Contract, section 7: same id with a different body: duplicate, plus a warning and a counter.
#[tokio::test]
async fn the_same_id_with_another_body_is_a_duplicate_and_is_told() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa(), gate.routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    let other = Request::signed(circa_body("evt_1").replace("hello", "goodbye"));
    assert_eq!(answer(&endpoint.deliver(&other).await), DUPLICATE);
    assert_eq!(endpoint.notes.count("duplicate same_body=false"), 1);
    assert_eq!(gate.started(), 1);
}

/// Contract, section 7: key = (endpoint name, event id), structured so that no two pairs collide;
/// the endpoint name defaults to the sender's.
#[tokio::test]
async fn endpoints_on_one_store_do_not_share_events() {
    let store: Arc<dyn DedupStore> = Arc::new(MemoryStore::default());
    let gate = Gate::open();
    let cases = [
        ("the default name", None, "evt_1", HANDLED),
        ("the default name, said", Some("circa"), "evt_1", DUPLICATE),
        ("another name", Some("billing"), "evt_1", HANDLED),
        ("a, bc", Some("a"), "bc", HANDLED),
        ("ab, c", Some("ab"), "c", HANDLED),
        ("a:b, c", Some("a:b"), "c", HANDLED),
        ("a, b:c", Some("a"), "b:c", HANDLED),
        ("a, bc again", Some("a"), "bc", DUPLICATE),
    ];
    for (name, endpoint, id, expected) in cases {
        let builder = circa().dedup(Arc::clone(&store));
        let builder = match endpoint {
            Some(endpoint) => builder.endpoint(endpoint),
            None => builder,
        };
        let endpoint = Endpoint::new(builder, gate.routes());
        assert_eq!(answer(&endpoint.deliver(&Request::circa(id)).await), expected, "{name}");
    }
}

/// The longest id that an event may have, and the names that an endpoint may have, are kept apart
/// from their neighbours.
#[tokio::test]
async fn long_ids_are_compared_to_their_end() {
    let endpoint = Endpoint::new(circa().endpoint("Übersicht \u{1f41f}"), Gate::open().routes());
    let (one, other) = ("x".repeat(254) + "1", "x".repeat(254) + "2");
    for (id, expected) in [(&one, HANDLED), (&other, HANDLED), (&one, DUPLICATE), (&other, DUPLICATE)] {
        assert_eq!(answer(&endpoint.deliver(&Request::circa(id)).await), expected, "{id}");
    }
}

/// Contract, section 7: retention of done: 72 h by default.
#[tokio::test]
async fn a_handled_event_is_remembered_for_72_hours() {
    let clock = FakeClock::at(NOW);
    let endpoint = Endpoint::new(circa().clock(clock.clone()), Gate::open().routes());
    let deliver = async |at: i64| {
        let request = Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), at);
        answer(&endpoint.deliver(&request).await)
    };
    assert_eq!(deliver(NOW).await, HANDLED);
    clock.advance(RETENTION - seconds(1));
    assert_eq!(deliver(NOW + 72 * 3_600 - 1).await, DUPLICATE);
    clock.advance(seconds(1));
    assert_eq!(deliver(NOW + 72 * 3_600).await, HANDLED);
}

/// Contract, section 7: Circularo's events, which are known by their bytes, are remembered for 1 h
/// by default.
#[tokio::test]
async fn identical_bytes_are_one_event_for_an_hour() {
    let clock = FakeClock::at(NOW);
    let endpoint = Endpoint::new(circularo().clock(clock.clone()), Gate::open().routes());
    let edit = Request::circularo(r#"{"documentId":"d_1","event":"documentEdited","actor":"mary"}"#);
    for (passed, expected) in [(0, HANDLED), (3_599, DUPLICATE), (1, HANDLED)] {
        clock.advance(seconds(passed));
        assert_eq!(answer(&endpoint.deliver(&edit).await), expected, "after {passed} s more");
    }
}

/// The retention that was chosen is the one that is asked of the store.
#[tokio::test]
async fn the_retention_can_be_chosen() {
    let clock = FakeClock::at(NOW);
    let endpoint = Endpoint::new(circa().clock(clock.clone()).retention(seconds(100)), Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
    clock.advance(seconds(99));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
    clock.advance(seconds(1));
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED);
}

/// Contract, section 7: `forget(id)` lets an operator replay on purpose.
#[tokio::test]
async fn a_forgotten_event_is_handled_again() {
    let gate = Gate::open();
    let endpoint = Endpoint::new(circa(), gate.routes());
    assert!(!endpoint.receiver.forget("evt_1").await.unwrap(), "never seen");
    for round in 1..4 {
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), HANDLED, "round {round}");
        assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE, "round {round}");
        assert!(endpoint.receiver.forget("evt_1").await.unwrap(), "round {round}");
    }
    assert_eq!(gate.started(), 3);
}

/// What is in progress cannot be forgotten: there would be two runs.
#[tokio::test(start_paused = true)]
async fn a_run_in_progress_is_not_forgotten() {
    let gate = Gate::closed();
    let endpoint = Endpoint::new(circa(), gate.routes());
    let first = endpoint.spawn(&Request::circa("evt_1"));
    gate.arrival().await;
    assert!(!endpoint.receiver.forget("evt_1").await.unwrap());
    gate.let_go(1);
    assert_eq!(answer(&first.await.unwrap()), HANDLED);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), DUPLICATE);
}
