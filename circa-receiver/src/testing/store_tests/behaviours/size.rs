//! Size: what a store remembers does not slow it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::dedup::Key;

use super::super::subject::{DONE, Subject, keys, unique};

const CLAIMS: usize = 1_000;

/// The store is filled in so many steps and measured after each, so that a store that searches all
/// entries fails early.
const STEPS: usize = 4;

/// How many times as long a full store may take: its trees are deeper, its caches colder.
const FACTOR: u32 = 6;

/// What all claims together may take beyond that, on a busy machine.
const LENIENCE: Duration = Duration::from_millis(300);

/// How often a store that was slow is measured, because another process may have disturbed it.
const ROUNDS: usize = 3;

/// A store that is full of done events claims about as fast as an empty one, and remembers them.
pub async fn retained_entries_do_not_slow_the_store(subject: Subject) {
    // The first round opens connections.
    time_of_claims(&subject).await;
    let empty = time_of_claims(&subject).await;
    let most = empty * FACTOR + LENIENCE;
    let prefix = unique();
    for step in 1..=STEPS {
        let entries = subject.entries * step / STEPS;
        fill(&subject, &prefix, subject.entries * (step - 1) / STEPS..entries).await;
        let mut full = time_of_claims(&subject).await;
        for _ in 1..ROUNDS {
            if full > most {
                full = full.min(time_of_claims(&subject).await);
            }
        }
        assert!(
            full <= most,
            "{CLAIMS} claims took {empty:?} when the store was empty, and {full:?} beside {entries} entries"
        );
    }
    for entry in (0..subject.entries).step_by((subject.entries / 100).max(1)) {
        assert_eq!(subject.claim(&entry_key(&prefix, entry)).await, DONE, "entry {entry}");
    }
}

/// One after the other: what one claim costs, and not how many go through at once.
async fn time_of_claims(subject: &Subject) -> Duration {
    let keys = keys(CLAIMS);
    let started = Instant::now();
    for key in &keys {
        subject.win(key).await;
    }
    started.elapsed()
}

async fn fill(subject: &Subject, prefix: &str, entries: std::ops::Range<usize>) {
    let next = Arc::new(AtomicUsize::new(entries.start));
    let tasks: Vec<_> = (0..subject.in_flight)
        .map(|_| {
            let (subject, next, prefix, end) = (subject.clone(), Arc::clone(&next), prefix.to_owned(), entries.end);
            tokio::spawn(async move {
                loop {
                    let entry = next.fetch_add(1, Ordering::Relaxed);
                    if entry >= end {
                        break;
                    }
                    let key = entry_key(&prefix, entry);
                    let token = subject.win(&key).await;
                    assert!(subject.complete(&key, token).await, "entry {entry}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the store takes the entries");
    }
}

fn entry_key(prefix: &str, entry: usize) -> Key {
    Key::new("store behaviours", &format!("evt_{prefix}_{entry}"))
}
