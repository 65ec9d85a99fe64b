//! Runs a behaviour against a store.

use std::{
    future::Future,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::Barrier;

/// More threads than cores, so that they interleave at every point.
const THREADS: usize = 8;

/// Rows that keep all cores busy run alone: a row that measures time must not be late because of
/// them.
static CORES: RwLock<()> = RwLock::new(());

/// Runs one behaviour against a store, beside others. What [`store_tests!`](crate::store_tests)
/// makes a test of.
///
/// # Panics
///
/// With what the store did wrong.
pub fn run<T, S: Future<Output = T>, B: Future<Output = ()>>(subject: fn() -> S, behaviour: fn(T) -> B) {
    let _shared = CORES.read().unwrap_or_else(PoisonError::into_inner);
    in_threads(subject, behaviour);
}

/// As [`run`], but none beside it: for a behaviour that keeps all cores busy.
///
/// # Panics
///
/// With what the store did wrong.
pub fn run_alone<T, S: Future<Output = T>, B: Future<Output = ()>>(subject: fn() -> S, behaviour: fn(T) -> B) {
    let _alone = CORES.write().unwrap_or_else(PoisonError::into_inner);
    in_threads(subject, behaviour);
}

fn in_threads<T, S: Future<Output = T>, B: Future<Output = ()>>(subject: fn() -> S, behaviour: fn(T) -> B) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .expect("a test can have threads");
    runtime.block_on(async { behaviour(subject().await).await });
}

/// Runs as many tasks as there are threads, all at once.
pub(in crate::testing) async fn all_at_once<F: Future<Output = ()> + Send + 'static>(task: impl Fn() -> F) {
    let start = Arc::new(Barrier::new(THREADS));
    let tasks: Vec<_> = (0..THREADS)
        .map(|_| {
            let (start, task) = (Arc::clone(&start), task());
            tokio::spawn(async move {
                start.wait().await;
                task.await;
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("the task saw nothing wrong");
    }
}
