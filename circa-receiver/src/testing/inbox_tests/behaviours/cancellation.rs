//! Cancellation: a call may be dropped at every await without harm.
//!
//! Each row repeats its call, polls it once more often each time, and drops it, until the call ends
//! by itself.

use crate::dedup::Nonce;
use crate::inbox::{AcceptRequest, Accepted, Interest, LeaseRequest};
use crate::testing::store_tests::polled::polled;

use super::super::subject::{COMPLETE, LEASE, Subject, endpoint, entry};

/// Contract, section 8a: an accept that is dropped at any await means "unknown", never
/// "acknowledged and lost".
pub async fn an_accept_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let endpoint = endpoint();
        let (entry, nonce) = (entry(&endpoint, "evt_1"), Nonce::fresh());
        let answer = polled(times, subject.inbox.accept(AcceptRequest::new(entry.clone(), nonce))).await;
        assert_eq!(subject.accept_as(&entry, nonce).await, Accepted::New, "dropped after {times} polls");
        subject.lease_one(&endpoint).await;
        if answer.is_some() {
            break;
        }
    }
}

/// What was leased and not answered is leased again when it has lapsed.
pub async fn a_lease_dropped_at_any_await_lapses(subject: Subject) {
    let mut left = Vec::new();
    for times in 0.. {
        let endpoint = endpoint();
        subject.accept(&entry(&endpoint, "evt_1")).await;
        let interests = [Interest::all(&endpoint)];
        let answer = polled(times, subject.inbox.lease(LeaseRequest::new("dropped", &interests, 1, LEASE))).await;
        left.push(endpoint);
        if answer.is_some() {
            break;
        }
    }
    subject.pass(LEASE).await;
    for endpoint in &left {
        subject.lease_one(endpoint).await;
    }
}

/// The event is held all the same.
pub async fn a_renewal_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let endpoint = endpoint();
        subject.accept(&entry(&endpoint, "evt_1")).await;
        let lease = subject.lease_one(&endpoint).await.lease();
        let answer = polled(times, subject.inbox.renew(lease, LEASE)).await;
        assert!(subject.renew(lease).await, "dropped after {times} polls");
        assert!(subject.settle(lease, COMPLETE).await, "dropped after {times} polls");
        if answer.is_some() {
            break;
        }
    }
}

/// Whether or not the dropped call came through, the event is done after the next.
pub async fn a_settlement_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let endpoint = endpoint();
        subject.accept(&entry(&endpoint, "evt_1")).await;
        let lease = subject.lease_one(&endpoint).await.lease();
        let answer = polled(times, subject.inbox.settle(lease, COMPLETE)).await;
        let again = subject.settle(lease, COMPLETE).await;
        assert!(times > 0 || again, "a call that was never polled does nothing");
        subject.pass(LEASE).await;
        assert!(subject.lease(&endpoint).await.is_empty(), "dropped after {times} polls, and then {again}");
        if answer.is_some() {
            break;
        }
    }
}
