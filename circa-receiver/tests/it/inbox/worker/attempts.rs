//! Attempts: failures, backoff, and what is buried.

use std::time::Duration;

use circa_receiver::{
    HandlerError,
    dedup::Nonce,
    inbox::{AcceptRequest, Cause, Entry, Inbox, Interest, LeaseRequest},
};

use super::{Bench, Runs, running, seconds};
use crate::support::receiving::{ACCEPTED, Gate};

fn dead(bench: &Bench) -> Vec<(String, Cause)> {
    bench.inbox.memory().dead()
}

/// Contract, section 8a: failure n waits a random time up to min(5 s x 2^n, 1 h), and a panic is a
/// failure.
#[tokio::test(start_paused = true)]
async fn a_failed_event_is_tried_again_after_its_backoff() {
    let runs = Runs::default();
    let bench = running(&runs, |run| match run {
        1..=3 => Err("away".into()),
        4 => panic!("the handler's own"),
        _ => Ok(()),
    });
    let _worker = bench.start();
    assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
    // 10, 20, 40 and 80 s at most.
    tokio::time::sleep(seconds(160)).await;
    assert_eq!(runs.count(), 5);
    for (failure, gap) in (1..).zip(runs.gaps()) {
        // An idle worker looks every 200 ms.
        let bound = seconds(5 * 2_u64.pow(failure)) + Duration::from_millis(200);
        assert!(gap <= bound, "failure {failure}: {gap:?}");
    }
    assert_eq!(bench.endpoint.notes.count("failed: away"), 3);
    assert_eq!(bench.endpoint.notes.count("failed: the handler panicked"), 1);
    assert_eq!(bench.endpoint.notes.count("handled"), 1);
}

/// Contract, section 8a: at most 20 attempts by default.
#[tokio::test(start_paused = true)]
async fn an_event_that_always_fails_is_dead_after_its_attempts() {
    for (limit, expected) in [(None, 20), (Some(1), 1), (Some(3), 3)] {
        let runs = Runs::default();
        let bench = running(&runs, |_| Err("away".into()));
        let builder = bench.builder().backoff(seconds(1), seconds(10));
        let builder = if let Some(limit) = limit { builder.max_attempts(limit) } else { builder };
        let _worker = tokio::spawn(builder.build().unwrap().run());
        bench.deliver("evt_1").await;
        tokio::time::sleep(seconds(300)).await;
        assert_eq!(runs.count(), expected);
        assert_eq!(dead(&bench), [("evt_1".to_owned(), Cause::Attempts)]);
        assert_eq!(bench.endpoint.notes.count("dead-lettered: away"), 1);
    }
}

/// Contract, section 8a: permanent errors and data that cannot be decoded are dead at once.
#[tokio::test(start_paused = true)]
async fn what_can_never_succeed_is_dead_at_once() {
    let runs = Runs::default();
    let bench = running(&runs, |_| Err(HandlerError::permanent("no such team")));
    bench.deliver("evt_1").await;
    assert_eq!(bench.worker().drain().await.unwrap(), 1);
    assert_eq!(dead(&bench), [("evt_1".to_owned(), Cause::Permanent)]);
    assert_eq!(bench.endpoint.notes.count("dead-lettered: no such team"), 1);
    assert_eq!(bench.endpoint.notes.count("failed"), 0);

    let typed = circa_receiver::Routes::new()
        .on(|_: circa_receiver::Event<circa_receiver::event::DatapointPulled>, (): ()| async { Ok(()) });
    let bench = Bench::with_routes(typed);
    let body = r#"{"id":"evt_2","type":"datapoint.pulled","livemode":false,"data":"no object"}"#;
    let _ = bench.endpoint.deliver(&crate::support::receiving::Request::signed(body)).await;
    assert_eq!(bench.worker().drain().await.unwrap(), 1);
    assert_eq!(dead(&bench), [("evt_2".to_owned(), Cause::Permanent)]);
}

/// Contract, section 8a: `retry_after` waits and burns no attempt, at most 100 times.
#[tokio::test(start_paused = true)]
async fn an_event_may_be_postponed_a_hundred_times() {
    let runs = Runs::default();
    let bench = running(&runs, |_| Err(HandlerError::retry_after(seconds(60), "busy")));
    let _worker = tokio::spawn(bench.builder().max_attempts(1).build().unwrap().run());
    bench.deliver("evt_1").await;
    tokio::time::sleep(seconds(6_200)).await;
    assert_eq!(runs.count(), 101);
    assert_eq!(dead(&bench), [("evt_1".to_owned(), Cause::Attempts)]);
    for gap in runs.gaps() {
        assert!((seconds(60)..=seconds(61)).contains(&gap), "{gap:?}");
    }
}

/// Contract, section 8a: a handler over its timeout is cancelled: a failure.
#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_cancelled() {
    let gate = Gate::closed();
    let bench = Bench::with_routes(gate.routes());
    let builder = bench.builder().handler_timeout(seconds(30)).max_attempts(1);
    let _worker = tokio::spawn(builder.build().unwrap().run());
    bench.deliver("evt_1").await;
    gate.arrival().await;
    tokio::time::sleep(seconds(31)).await;
    assert_eq!(dead(&bench), [("evt_1".to_owned(), Cause::Attempts)]);
    assert_eq!(bench.endpoint.notes.count("dead-lettered: the handler ran longer than its limit of 30s"), 1);
    gate.let_go(1);
    tokio::time::sleep(seconds(1)).await;
    assert_eq!(gate.ended(), 0, "the handler was not dropped");
}

/// Contract, section 8a: an attempt over the limit is buried before it runs, so that an event that
/// kills its process ends.
#[tokio::test(start_paused = true)]
async fn an_event_that_kills_its_process_is_buried_before_it_runs() {
    let runs = Runs::default();
    let bench = running(&runs, |_| Ok(()));
    bench.deliver("evt_1").await;
    let interests = [Interest::all("circa")];
    for attempt in 1..=20 {
        let request = LeaseRequest::new("dies", &interests, 1, seconds(60));
        let leased = bench.inbox.lease(request).await.unwrap();
        assert_eq!(leased[0].attempt(), attempt);
        tokio::time::sleep(seconds(60)).await;
    }
    assert_eq!(bench.worker().drain().await.unwrap(), 1);
    assert_eq!(runs.count(), 0, "it ran");
    assert_eq!(dead(&bench), [("evt_1".to_owned(), Cause::Attempts)]);
    assert_eq!(bench.endpoint.notes.count("dead-lettered: its attempts are used up"), 1);
}

/// What another version has stored and this one cannot read is a dead letter, and harms nobody.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_back_is_dead() {
    let runs = Runs::default();
    let bench = running(&runs, |_| Ok(()));
    let rows = [
        ("no details", "", "{}"),
        ("unknown sender", r#"{"sender":"x"}"#, "{}"),
        ("no event", r#"{"sender":"circa"}"#, "{}"),
    ];
    for (nonce, (id, details, body)) in rows.into_iter().enumerate() {
        let entry = Entry::from_parts("circa", id, "a.type", details, body.into());
        bench.inbox.accept(AcceptRequest::new(entry, Nonce::new(nonce as u128))).await.unwrap();
    }
    assert_eq!(bench.worker().drain().await.unwrap(), 3);
    assert_eq!(dead(&bench), rows.map(|(id, ..)| (id.to_owned(), Cause::Unreadable)));
    assert_eq!(runs.count(), 0);
}
