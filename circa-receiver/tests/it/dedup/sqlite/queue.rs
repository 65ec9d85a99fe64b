//! The queue of the writing thread: it is bounded, its calls end in time, and calls that were
//! dropped are not done.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore, SqliteStore,
    dedup::{ClaimAnswer, StoreError},
};

use super::{Folder, count, key, try_claim, win};

/// What the queue holds, and what one transaction takes out of it at most.
const QUEUE: usize = 1_024;
const GROUP: usize = 256;

type Call<'s> = Pin<Box<dyn Future<Output = Result<ClaimAnswer, StoreError>> + 's>>;

/// A claim that stands in the queue, or the error of one that was refused at once.
fn queued(store: &SqliteStore, number: usize) -> Result<Call<'_>, String> {
    let mut call: Call<'_> = Box::pin(async move { try_claim(store, &key(number), number as u128).await });
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Ok(call),
        Poll::Ready(answer) => Err(answer.unwrap_err().to_string()),
    }
}

/// A program that holds the file's lock makes calls fail, all in time, and not more of them wait
/// than there is room for.
#[tokio::test]
async fn a_locked_file_fails_calls_in_time_and_recovers() {
    let folder = Folder::new();
    let store = folder.store();
    let other = folder.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    // A group waits for the lock, the queue is full of others, and the next is refused at once.
    let mut calls = Vec::new();
    let refused = loop {
        match queued(&store, calls.len()) {
            Ok(call) => calls.push(call),
            Err(error) => break error,
        }
        assert!(calls.len() <= GROUP + QUEUE, "{} wait", calls.len());
    };
    assert!(refused.contains("1024 calls wait"), "{refused}");
    assert!(calls.len() >= QUEUE, "only {} wait", calls.len());
    let first = calls.swap_remove(0);
    // The others are dropped, as a receiver drops them after two seconds.
    drop(calls);
    let error = first.await.unwrap_err().to_string();
    assert!(error.contains("locked"), "{error}");
    // After 1.5 s on a machine that has nothing else to do; what must not be is that it waits for
    // the lock for ever.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    // The queue is empty once the thread has passed over what was dropped.
    let check = async || loop {
        match store.check().await {
            Err(error) if error.to_string().contains("1024 calls wait") => std::thread::yield_now(),
            answer => break answer.map_err(|error| error.to_string()),
        }
    };
    assert!(check().await.unwrap_err().contains("locked"), "it says so");
    other.execute_batch("ROLLBACK").unwrap();
    check().await.unwrap();
    win(&store, &key("first"), 1).await;
    assert_eq!(count(&folder.connection()), 1, "what failed was done");
}

/// If they were done, they would block their events until the lease ends.
#[tokio::test]
async fn calls_dropped_while_they_queue_are_not_done() {
    let folder = Folder::new();
    let store = folder.store();
    let other = folder.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // They fill a group: however many of them the thread has taken into the group that waits for
    // the lock, none of the later calls is in it.
    let kept: Vec<_> = (0..GROUP).map(|number| queued(&store, number).unwrap()).collect();
    for number in GROUP..GROUP + 50 {
        drop(queued(&store, number).unwrap());
    }
    other.execute_batch("ROLLBACK").unwrap();
    for call in kept {
        assert!(matches!(call.await, Ok(ClaimAnswer::Won(_))));
    }
    store.check().await.unwrap();
    assert_eq!(count(&other), GROUP as i64);
}
