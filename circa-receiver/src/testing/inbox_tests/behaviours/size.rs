//! Size: what an inbox remembers does not slow it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::inbox::Accepted;

use super::super::subject::{COMPLETE, Subject, endpoint, entry};

/// How many events are run one after the other to measure.
const RUNS: usize = 300;

/// How many times as long a full inbox may take: its trees are deeper, its caches colder.
const FACTOR: u32 = 6;

/// What all runs together may take beyond that, on a busy machine.
const LENIENCE: Duration = Duration::from_millis(500);

/// How often an inbox that was slow is measured, because another process may have disturbed it.
const ROUNDS: usize = 3;

/// An inbox that is full of done events runs new ones about as fast as an empty one, and remembers
/// the old ones.
pub async fn done_events_do_not_slow_the_inbox(subject: Subject) {
    // The first round opens connections.
    time_of_runs(&subject).await;
    let empty = time_of_runs(&subject).await;
    let most = empty * FACTOR + LENIENCE;
    let full_of = endpoint();
    fill(&subject, &full_of).await;
    let mut full = time_of_runs(&subject).await;
    for _ in 1..ROUNDS {
        if full > most {
            full = full.min(time_of_runs(&subject).await);
        }
    }
    let entries = subject.entries;
    assert!(full <= most, "{RUNS} runs took {empty:?} in an empty inbox, and {full:?} beside {entries} done events");
    for event in (0..entries).step_by((entries / 100).max(1)) {
        let answer = subject.accept(&entry(&full_of, &event.to_string())).await;
        assert_eq!(answer, Accepted::Known { same_body: true }, "event {event}");
    }
}

/// One after the other: what one event costs, and not how many go through at once.
async fn time_of_runs(subject: &Subject) -> Duration {
    let endpoint = endpoint();
    let started = Instant::now();
    for event in 0..RUNS {
        subject.accept(&entry(&endpoint, &event.to_string())).await;
        let leased = subject.lease_one(&endpoint).await;
        assert!(subject.settle(leased.lease(), COMPLETE).await);
    }
    started.elapsed()
}

async fn fill(subject: &Subject, endpoint: &str) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..subject.in_flight {
        let (subject, next, endpoint) = (subject.clone(), Arc::clone(&next), endpoint.to_owned());
        tasks.spawn(async move {
            loop {
                let event = next.fetch_add(1, Ordering::Relaxed);
                if event >= subject.entries {
                    break;
                }
                subject.accept(&entry(&endpoint, &event.to_string())).await;
                let interests = [crate::inbox::Interest::all(&endpoint)];
                for leased in subject.lease_some(&interests, 8).await {
                    assert!(subject.settle(leased.lease(), COMPLETE).await, "{leased:?}");
                }
            }
        });
    }
    tasks.join_all().await;
    for leased in subject.lease(endpoint).await {
        assert!(subject.settle(leased.lease(), COMPLETE).await, "{leased:?}");
    }
}
