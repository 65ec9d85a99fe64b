//! Outage: the inbox's server goes away and comes back.

use std::time::{Duration, Instant};

use crate::dedup::Nonce;
use crate::inbox::{AcceptRequest, Accepted};

use super::super::subject::{COMPLETE, LEASE, Subject, endpoint, entry};

/// The pause between two looks whether the server is back.
const PAUSE: Duration = Duration::from_millis(50);

/// Every call fails in time; what was accepted before is there afterwards, and a lease from before
/// still holds.
pub async fn calls_fail_in_time_while_the_inbox_is_away_and_work_when_it_is_back(subject: Subject) {
    let endpoint = endpoint();
    assert_eq!(subject.accept(&entry(&endpoint, "evt_1")).await, Accepted::New);
    let leased = subject.lease_one(&endpoint).await;
    assert_eq!(subject.accept(&entry(&endpoint, "evt_2")).await, Accepted::New);

    subject.stop().await;
    let started = Instant::now();
    let request = AcceptRequest::new(entry(&endpoint, "evt_3"), Nonce::fresh());
    assert!(subject.inbox.accept(request).await.is_err(), "accepted without a server");
    assert!(subject.inbox.renew(leased.lease(), LEASE).await.is_err(), "renewed without a server");
    assert!(subject.inbox.settle(leased.lease(), COMPLETE).await.is_err(), "settled without a server");
    assert!(subject.inbox.check().await.is_err(), "healthy without a server");
    assert!(started.elapsed() <= 4 * subject.bound, "four calls took {:?}", started.elapsed());

    subject.start().await;
    let started = Instant::now();
    while subject.inbox.check().await.is_err() {
        assert!(started.elapsed() < subject.recovery, "not back after {:?}", started.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    assert!(subject.renew(leased.lease()).await, "the lease from before the outage");
    assert!(subject.settle(leased.lease(), COMPLETE).await);
    assert_eq!(subject.lease_one(&endpoint).await.entry().event_id(), "evt_2");
    assert_eq!(subject.accept(&entry(&endpoint, "evt_1")).await, Accepted::Known { same_body: true });
}
