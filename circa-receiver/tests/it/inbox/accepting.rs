//! Accepting: an event is durable before it is answered: contract, section 8a.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use circa_receiver::{ConfigError, MemoryStore, StoreFailure, async_trait, inbox::Cause, testing::MemoryInbox};
use tokio::time::Instant;

use super::support::Bench;
use crate::support::receiving::{
    ACCEPTED, DEAD_LETTERED, DUPLICATE, Endpoint, Fault, IGNORED, Request, ScriptedInbox, UNAVAILABLE, answer, circa,
    circularo, circularo_body, routes, seconds, settle,
};

/// A handler that is never called: nothing runs without a worker.
async fn never(_: circa_receiver::AnyEvent) -> Result<(), circa_receiver::HandlerError> {
    panic!("the receiver ran a handler")
}

#[tokio::test(start_paused = true)]
async fn a_new_event_is_accepted_and_a_known_one_is_a_duplicate() {
    let bench = Bench::new(never);
    assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
    assert_eq!(bench.deliver("evt_1").await, DUPLICATE);
    assert_eq!(bench.deliver("evt_2").await, ACCEPTED);
    assert_eq!(bench.endpoint.notes.count("accepted"), 2);
    assert_eq!(bench.endpoint.notes.count("duplicate same_body=true"), 1);
    assert_eq!(bench.stats().await.ready, 2);
}

/// Both senders may share an inbox: their endpoints tell their events apart.
#[tokio::test(start_paused = true)]
async fn two_senders_share_an_inbox() {
    let inbox = ScriptedInbox::new();
    let circa = Endpoint::new(circa().inbox(inbox.clone()), routes(never));
    let circularo = Endpoint::new(circularo().inbox(inbox.clone()), routes(never));
    for _ in 0..2 {
        let _ = circa.deliver(&Request::circa("evt_1")).await;
        let _ = circularo.deliver(&Request::circularo(circularo_body("document"))).await;
    }
    assert_eq!((circa.notes.count("accepted"), circularo.notes.count("accepted")), (1, 1));
}

/// Contract, section 7: ignored events are not recorded.
#[tokio::test(start_paused = true)]
async fn what_is_not_wanted_is_not_stored() {
    let bench = Bench::with_routes(circa_receiver::Routes::new().on_type("other.type", |event, (): ()| never(event)));
    assert_eq!(bench.deliver("evt_1").await, IGNORED);
    assert_eq!(bench.inbox.calls("accept"), 0);
}

/// Contract, section 5: an envelope that cannot be understood goes to the inbox's dead letters,
/// once.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_understood_is_a_dead_letter() {
    let bench = Bench::new(never);
    let request = Request::signed(r#"{"type":"webhook.test","livemode":false}"#);
    assert_eq!(answer(&bench.endpoint.deliver(&request).await), DEAD_LETTERED);
    assert_eq!(answer(&bench.endpoint.deliver(&request).await), DUPLICATE);
    let dead = bench.inbox.memory().dead();
    assert!(dead.len() == 1 && dead[0].0.starts_with("(unreadable) ") && dead[0].1 == Cause::Unreadable, "{dead:?}");
}

/// Contract, sections 7 and 8a: an accept is repeated like a claim, and its nonce makes a lost
/// answer harmless.
#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_for_a_moment_is_not_the_senders_business() {
    for (name, fault, times) in [
        ("fails", Fault::Fail, 10),
        ("hangs", Fault::Hang, 2),
        ("done but fails", Fault::DoneButFails, 10),
        ("done but hangs", Fault::DoneButHangs, 2),
    ] {
        let bench = Bench::new(never);
        bench.inbox.script("accept", fault, times);
        assert_eq!(bench.deliver("evt_1").await, ACCEPTED, "{name}");
        assert_eq!(bench.inbox.calls("accept"), times + 1, "{name}");
        assert_eq!(bench.endpoint.notes.count("store error at accept"), 1, "{name}");
        assert_eq!(bench.deliver("evt_1").await, DUPLICATE, "{name}");
    }
}

/// Contract, section 8a: the engine away or too slow: 503, 2 s before the ack deadline.
#[tokio::test(start_paused = true)]
async fn an_engine_that_stays_away_is_a_503_in_time() {
    for fault in [Fault::Fail, Fault::Hang] {
        let bench = Bench::new(never);
        bench.inbox.script("accept", fault, usize::MAX);
        let started = Instant::now();
        assert_eq!(bench.deliver("evt_1").await, UNAVAILABLE, "{fault:?}");
        assert!(started.elapsed() <= seconds(10), "{fault:?}: {:?}", started.elapsed());
        assert!(started.elapsed() >= seconds(7), "{fault:?}: {:?}", started.elapsed());
        assert_eq!(bench.endpoint.notes.reason().as_deref(), Some("store_unavailable"), "{fault:?}");
    }
}

/// Contract, section 8: the ack deadline counts where the last call hangs beyond it.
#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_beyond_the_ack_deadline_is_a_503_by_then() {
    let inbox = ScriptedInbox::new();
    inbox.script("accept", Fault::Hang, usize::MAX);
    let endpoint = Endpoint::new(circa().inbox(inbox.clone()).ack_deadline(seconds(1)), routes(never));
    let started = Instant::now();
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), UNAVAILABLE);
    assert_eq!((started.elapsed(), inbox.calls("accept")), (seconds(1), 1));
    assert_eq!(endpoint.notes.count("store error at accept"), 1);
}

/// Contract, section 8a: an accept that is dropped at any await means "unknown", never
/// "acknowledged and lost".
#[tokio::test(start_paused = true)]
async fn an_accept_dropped_at_any_await_loses_nothing() {
    for times in 0.. {
        let bench = Bench::new(never);
        bench.inbox.script("accept", Fault::Yield, 1);
        let request = Request::circa("evt_1");
        let mut delivery = pin!(bench.endpoint.deliver(&request));
        let mut left = times;
        let answered = poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            delivery.as_mut().poll(cx).map(Some)
        })
        .await;
        let stored = bench.stats().await.ready == 1;
        let expected = if stored { DUPLICATE } else { ACCEPTED };
        assert!(answered.is_none() || stored, "answered and lost");
        assert_eq!(bench.deliver("evt_1").await, expected, "dropped after {times} polls");
        assert_eq!(bench.stats().await.ready, 1, "dropped after {times} polls");
        if answered.is_some() {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_receiver_accepts_nothing() {
    let bench = Bench::new(never);
    bench.endpoint.receiver.shutdown().await;
    assert_eq!(bench.deliver("evt_1").await, UNAVAILABLE);
    assert_eq!(bench.inbox.calls("accept"), 0);
}

/// Health and `forget` are the inbox's.
#[tokio::test(start_paused = true)]
async fn health_and_forget_are_the_inboxs() {
    let bench = Bench::new(|_| async { Ok(()) });
    bench.endpoint.receiver.check_store().await.unwrap();
    bench.inbox.script("check", Fault::Hang, 1);
    assert!(bench.endpoint.receiver.check_store().await.is_err());
    assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
    assert!(!bench.endpoint.receiver.forget("evt_1").await.unwrap(), "not handled yet");
    assert_eq!(bench.worker().drain().await.unwrap(), 1);
    assert!(bench.endpoint.receiver.forget("evt_1").await.unwrap());
    assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
}

struct Sink;

#[async_trait]
impl circa_receiver::DeadLetterSink for Sink {
    async fn bury(&self, _: circa_receiver::DeadLetter<'_>) -> Result<(), circa_receiver::BoxError> {
        Ok(())
    }
}

/// Contract, section 8a: configuring an inbox and a dedup store is an error at build.
#[tokio::test]
async fn an_inbox_stands_alone() {
    let inbox = || circa().inbox(MemoryInbox::default());
    assert_eq!(inbox().build().map(drop), Ok(()));
    for (builder, error) in [
        (inbox().dedup(MemoryStore::default()), ConfigError::InboxAndDedup),
        (inbox().dead_letters(Sink), ConfigError::InboxAndDeadLetters),
        (inbox().on_store_failure(StoreFailure::RunWithoutDedup), ConfigError::InboxIsNeeded),
        (circa().answer_when_handled(), ConfigError::NoInbox),
    ] {
        assert_eq!(builder.build().map(drop), Err(error));
    }
}

/// Contract, section 1a: deliveries that only wait for a run of their event keep a quarter of the
/// places; section 7: until their ack deadline.
#[tokio::test(start_paused = true)]
async fn what_a_receiver_in_dedup_mode_handles_is_waited_for() {
    let inbox = ScriptedInbox::new();
    let endpoint = Endpoint::new(circa().inbox(inbox.clone()).max_in_flight(4), routes(never));
    inbox.set_in_progress(true);
    let waiting = endpoint.spawn(&Request::circa("evt_1"));
    settle().await;
    let started = Instant::now();
    assert_eq!(endpoint.deliver(&Request::circa("evt_2")).await.status(), 503);
    assert_eq!(started.elapsed(), seconds(0), "it gives way");
    inbox.set_in_progress(false);
    assert_eq!(answer(&waiting.await.unwrap()), ACCEPTED);
    inbox.set_in_progress(true);
    assert_eq!(endpoint.deliver(&Request::circa("evt_3")).await.status(), 503);
    assert_eq!(started.elapsed().as_secs(), 10, "it waits until its ack deadline");
}
