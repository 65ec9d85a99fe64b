//! Asynchronous calls, and their time by many callers.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// What a caller does with a fresh value, such as a key.
pub type Call<T> = Arc<dyn Fn(T) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A call from a function, which gets a clone of `state` each time.
pub fn call<S, T, F>(state: S, call: impl Fn(S, T) -> F + Send + Sync + 'static) -> Call<T>
where
    S: Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Arc::new(move |value| Box::pin(call(state.clone(), value)))
}

/// A runtime on two threads.
pub fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The time of so many callers, each a task of its own that makes so many calls. The fresh values
/// are made before.
pub fn time<T: Send + 'static>(
    runtime: &Runtime,
    call: &Call<T>,
    fresh: fn() -> T,
    callers: u64,
    calls: u64,
) -> Duration {
    let mut tasks = JoinSet::new();
    let values: Vec<Vec<T>> = (0..callers).map(|_| (0..calls).map(|_| fresh()).collect()).collect();
    let start = Instant::now();
    for values in values {
        let call = Arc::clone(call);
        let calls = async move {
            for value in values {
                call(value).await;
            }
        };
        tasks.spawn_on(calls, runtime.handle());
    }
    runtime.block_on(tasks.join_all());
    start.elapsed()
}
