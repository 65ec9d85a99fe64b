//! Settling: what becomes of an event after its run.

use std::time::Duration;

use crate::inbox::{Accepted, Cause, Change, Settlement, Stats};

use super::super::subject::{COMPLETE, LEASE, MARGIN, RETENTION, Subject, endpoint, entry, retry};

const BACKOFF: Duration = Duration::from_secs(300);

async fn leased_once(subject: &Subject) -> (String, crate::inbox::Leased) {
    let endpoint = endpoint();
    subject.accept(&entry(&endpoint, "evt_1")).await;
    let leased = subject.lease_one(&endpoint).await;
    (endpoint, leased)
}

/// Contract, section 8a: running -> ready again after a backoff that the engine keeps.
pub async fn a_failed_event_waits_for_its_backoff(subject: Subject) {
    let (endpoint, leased) = leased_once(&subject).await;
    assert!(subject.settle(leased.lease(), retry(BACKOFF)).await);
    assert!(subject.lease(&endpoint).await.is_empty(), "at once");
    subject.pass(BACKOFF - MARGIN).await;
    assert!(subject.lease(&endpoint).await.is_empty(), "before the backoff ends");
    subject.pass(MARGIN).await;
    assert_eq!(subject.lease_one(&endpoint).await.attempt(), 2);
}

/// Contract, section 8a: `retry_after` waits and burns no attempt.
pub async fn a_postponed_event_uses_up_no_attempt(subject: Subject) {
    let (endpoint, mut leased) = leased_once(&subject).await;
    for postponed in 1..=3 {
        let settlement = Settlement::Postpone { after: BACKOFF, error: "later".to_owned() };
        assert!(subject.settle(leased.lease(), settlement).await);
        assert!(subject.lease(&endpoint).await.is_empty(), "at once");
        subject.pass(BACKOFF).await;
        leased = subject.lease_one(&endpoint).await;
        assert_eq!((leased.attempt(), leased.postponed()), (1, postponed));
    }
}

/// Contract, section 8a: stopping gives back what has not begun and burns no attempt for it.
pub async fn what_is_given_back_is_ready_and_uses_up_no_attempt(subject: Subject) {
    let (endpoint, first) = leased_once(&subject).await;
    assert!(subject.settle(first.lease(), Settlement::GiveBack).await);
    let second = subject.lease_one(&endpoint).await;
    assert_eq!((second.attempt(), second.postponed()), (1, 0));
    assert!(second.lease().token() > first.lease().token(), "{second:?} does not rise above {first:?}");
}

/// Contract, section 8a: dead letters never go by themselves.
pub async fn a_dead_event_is_never_leased_and_never_forgotten(subject: Subject) {
    for cause in Cause::ALL {
        let (endpoint, leased) = leased_once(&subject).await;
        let settlement = Settlement::Bury { cause, error: "never".to_owned() };
        assert!(subject.settle(leased.lease(), settlement).await, "{cause}");
        let key = leased.entry().key();
        assert!(!subject.inbox.forget(&key).await.expect("the inbox answers"), "{cause}: forgotten");
        subject.pass(2 * RETENTION).await;
        assert!(subject.lease(&endpoint).await.is_empty(), "{cause}");
        assert_eq!(subject.accept(leased.entry()).await, Accepted::Known { same_body: true }, "{cause}");
        let stats = subject.inbox.stats(&endpoint).await.expect("the inbox answers");
        assert_eq!(stats, Stats { dead: 1, ..Stats::default() }, "{cause}");
    }
}

/// A run ends once.
pub async fn a_lease_is_spent_by_its_settlement(subject: Subject) {
    let (endpoint, leased) = leased_once(&subject).await;
    assert!(subject.settle(leased.lease(), COMPLETE).await);
    for settlement in [COMPLETE, retry(Duration::ZERO), Settlement::GiveBack] {
        assert!(!subject.settle(leased.lease(), settlement.clone()).await, "{settlement:?}");
    }
    assert!(!subject.renew(leased.lease()).await);
    subject.pass(LEASE).await;
    assert!(subject.lease(&endpoint).await.is_empty());
}

/// Contract, section 8a: done is kept for the retention.
pub async fn a_done_event_is_remembered_for_the_retention(subject: Subject) {
    let (endpoint, leased) = leased_once(&subject).await;
    assert!(subject.settle(leased.lease(), COMPLETE).await);
    subject.pass(RETENTION - MARGIN).await;
    assert_eq!(subject.accept(leased.entry()).await, Accepted::Known { same_body: true });
    subject.pass(MARGIN).await;
    assert_eq!(subject.accept(leased.entry()).await, Accepted::New, "after the retention");
    assert_eq!(subject.lease_one(&endpoint).await.attempt(), 1);
}

/// Contract, section 8a: bodies of done events are kept for the retention, or dropped at once. The
/// event is known either way, and with which body it came.
pub async fn the_body_of_a_done_event_is_kept_or_dropped(subject: Subject) {
    for (settlement, body) in
        [(COMPLETE, &b"evt_1"[..]), (Settlement::CompleteWithoutBody { retention: RETENTION }, b"")]
    {
        let (endpoint, leased) = leased_once(&subject).await;
        assert!(subject.settle(leased.lease(), settlement.clone()).await);
        assert!(!subject.settle(leased.lease(), settlement.clone()).await, "{settlement:?}, twice");
        assert_eq!(subject.accept(leased.entry()).await, Accepted::Known { same_body: true }, "{settlement:?}");
        // The way back to it, for operators.
        for change in [Change::Discard { retention: RETENTION }, Change::Restore, Change::Replay] {
            let changed = subject.inbox.change(&[leased.lease().id()], change).await.expect("the inbox answers");
            assert_eq!(changed, 1, "{settlement:?}, {change:?}");
        }
        let again = subject.lease_one(&endpoint).await;
        assert_eq!(&again.entry().body()[..], body, "{settlement:?}");
        assert_eq!(again.entry().details(), leased.entry().details(), "{settlement:?}");
        subject.pass(RETENTION).await;
        assert_eq!(
            subject.accept(leased.entry()).await,
            Accepted::Known { same_body: true },
            "{settlement:?}, replayed"
        );
    }
}

/// An operator has an event handled again on purpose: one that is done, and no other.
pub async fn forget_removes_only_what_is_done(subject: Subject) {
    let forget = async |leased: &crate::inbox::Leased| {
        subject.inbox.forget(&leased.entry().key()).await.expect("the inbox answers")
    };
    let (endpoint, leased) = leased_once(&subject).await;
    assert!(!forget(&leased).await, "running");
    assert!(subject.settle(leased.lease(), Settlement::GiveBack).await);
    assert!(!forget(&leased).await, "ready");
    let leased = subject.lease_one(&endpoint).await;
    assert!(subject.settle(leased.lease(), COMPLETE).await);
    assert!(forget(&leased).await, "done");
    assert!(!forget(&leased).await, "forgotten");
    assert_eq!(subject.accept(leased.entry()).await, Accepted::New);
    let again = subject.lease_one(&endpoint).await;
    assert!(subject.settle(again.lease(), COMPLETE).await);
    subject.pass(RETENTION).await;
    assert!(!forget(&again).await, "after the retention");
}

/// What operators watch.
pub async fn stats_count_what_is_not_done(subject: Subject) {
    let endpoint = endpoint();
    let stats = async || subject.inbox.stats(&endpoint).await.expect("the inbox answers");
    assert_eq!(stats().await, Stats::default());
    for id in ["done", "waiting", "running", "lapsed", "dead", "ready"] {
        subject.accept(&entry(&endpoint, id)).await;
    }
    for leased in subject.lease(&endpoint).await {
        let error = "never".to_owned();
        match leased.entry().event_id() {
            "done" => assert!(subject.settle(leased.lease(), COMPLETE).await),
            "waiting" => assert!(subject.settle(leased.lease(), retry(10 * BACKOFF)).await),
            "ready" => assert!(subject.settle(leased.lease(), Settlement::GiveBack).await),
            "dead" => {
                assert!(subject.settle(leased.lease(), Settlement::Bury { cause: Cause::Permanent, error }).await);
            }
            _ => {}
        }
    }
    let first = stats().await;
    assert_eq!((first.ready, first.waiting, first.running, first.dead), (1, 1, 2, 1));
    subject.pass(LEASE).await;
    let later = stats().await;
    assert_eq!((later.ready, later.waiting, later.running, later.dead), (3, 1, 0, 1));
    assert!(later.lag.is_some_and(|lag| lag >= LEASE), "{later:?}");
}
