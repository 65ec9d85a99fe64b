//! Runs a behaviour against a store.

use std::{
    future::Future,
    sync::{PoisonError, RwLock},
};

use super::subject::Subject;

/// More threads than cores, so that they interleave at every point.
pub(super) const THREADS: usize = 8;

/// Rows that keep all cores busy run alone: a row that measures time must not be late because of them.
static CORES: RwLock<()> = RwLock::new(());

/// Runs one behaviour against a store, beside others. What [`store_tests!`](crate::store_tests) makes a
/// test of.
///
/// # Panics
///
/// With what the store did wrong.
pub fn run<S: Future<Output = Subject>, B: Future<Output = ()>>(subject: fn() -> S, behaviour: fn(Subject) -> B) {
    let _shared = CORES.read().unwrap_or_else(PoisonError::into_inner);
    in_threads(subject, behaviour);
}

/// As [`run`], but none beside it: for a behaviour that keeps all cores busy.
///
/// # Panics
///
/// With what the store did wrong.
pub fn run_alone<S: Future<Output = Subject>, B: Future<Output = ()>>(subject: fn() -> S, behaviour: fn(Subject) -> B) {
    let _alone = CORES.write().unwrap_or_else(PoisonError::into_inner);
    in_threads(subject, behaviour);
}

fn in_threads<S: Future<Output = Subject>, B: Future<Output = ()>>(subject: fn() -> S, behaviour: fn(Subject) -> B) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .expect("a test can have threads");
    runtime.block_on(async { behaviour(subject().await).await });
}
