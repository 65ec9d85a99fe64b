//! The queue before the thread that has the file: bounded, answered in time, and passed over where nobody waits any more.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use circa_receiver::{DedupStore, dedup::ClaimAnswer};

use super::{Folder, count, key, try_claim, win};

/// A program that holds the file's lock makes calls fail, all in time, and not more of them wait than there is room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_locked_file_fails_calls_in_time_and_recovers() {
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    let other = folder.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    // One waits for the lock, the queue is full of others, and the rest is refused at once.
    let first = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { try_claim(&store, &key("first"), 0).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let calls: Vec<_> = (1..=1_100_u128)
        .map(|call| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let answer = tokio::time::timeout(Duration::from_secs(1), try_claim(&store, &key(call), call)).await;
                answer.map(|answer| answer.unwrap_err().to_string())
            })
        })
        .collect();
    let mut refused = 0;
    for call in calls {
        // Those that wait in vain for a second are dropped, as a receiver drops them after two.
        if let Ok(error) = call.await.unwrap() {
            assert!(error.contains("1024 calls wait") || error.contains("locked"), "{error}");
            refused += usize::from(error.contains("1024 calls wait"));
        }
    }
    assert!((1..=1_100 - 1_024).contains(&refused), "{refused} were refused at once");
    let error = first.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("locked"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // The queue is empty once the thread has passed over what was dropped.
    let check = async || loop {
        match store.check().await {
            Err(error) if error.to_string().contains("1024 calls wait") => tokio::task::yield_now().await,
            answer => break answer.map_err(|error| error.to_string()),
        }
    };
    assert!(check().await.unwrap_err().contains("locked"), "it says so");
    other.execute_batch("ROLLBACK").unwrap();
    check().await.unwrap();
    win(&store, &key("first"), 1).await;
    assert_eq!(count(&folder.connection()), 1, "what failed was done");
}

/// Nobody waits for them: done all the same, they would hold their events until the lease ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_dropped_while_they_queue_are_not_done() {
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    let other = folder.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { try_claim(&store, &key("first"), 0).await })
    };
    // Until the thread has taken it, and waits for the lock.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for call in 1..=50 {
        let dropped = tokio::time::timeout(Duration::from_millis(1), try_claim(&store, &key(call), call)).await;
        assert!(dropped.is_err(), "call {call} did not wait");
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(first.await.unwrap(), Ok(ClaimAnswer::Won(_))));
    store.check().await.unwrap();
    assert_eq!(count(&other), 1);
}
