//! Races: of all calls that come at once, one succeeds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinSet;

use crate::inbox::{Accepted, Interest};
use crate::testing::store_tests::run::all_at_once;

use super::super::subject::{COMPLETE, Subject, endpoint, entry};

/// How many deliveries of one event race.
const DELIVERIES: usize = 16;

/// Contract, section 8a: `accept` is one atomic step.
pub async fn of_many_deliveries_at_once_one_is_accepted(subject: Subject) {
    let endpoint = endpoint();
    for round in 0..50 {
        let entry = entry(&endpoint, &format!("evt_{round}"));
        let mut deliveries = JoinSet::new();
        for _ in 0..DELIVERIES {
            let (subject, entry) = (subject.clone(), entry.clone());
            deliveries.spawn(async move { subject.accept(&entry).await });
        }
        let answers = deliveries.join_all().await;
        let new = answers.iter().filter(|answer| **answer == Accepted::New).count();
        assert_eq!(new, 1, "round {round}: {answers:?}");
    }
    assert_eq!(subject.lease(&endpoint).await.len(), 50);
}

/// Contract, section 8a: one run at a time per event, while many workers lease and complete.
pub async fn of_many_workers_one_leases_each_event(subject: Subject) {
    const EVENTS: usize = 200;
    let endpoint = endpoint();
    for event in 0..EVENTS {
        subject.accept(&entry(&endpoint, &event.to_string())).await;
    }
    let runs: Arc<Vec<AtomicUsize>> = Arc::new((0..EVENTS).map(|_| AtomicUsize::new(0)).collect());
    all_at_once(|| {
        let (subject, runs, interests) = (subject.clone(), Arc::clone(&runs), [Interest::all(&endpoint)]);
        async move {
            loop {
                let leased = subject.lease_some(&interests, 3).await;
                if leased.is_empty() {
                    break;
                }
                for leased in leased {
                    let event: usize = leased.entry().event_id().parse().expect("a number");
                    runs[event].fetch_add(1, Ordering::SeqCst);
                    assert!(subject.settle(leased.lease(), COMPLETE).await, "{leased:?}");
                }
            }
        }
    })
    .await;
    for (event, runs) in runs.iter().enumerate() {
        assert_eq!(runs.load(Ordering::SeqCst), 1, "event {event}");
    }
}
