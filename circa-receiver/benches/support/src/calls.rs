//! Asynchronous calls: their time by many callers, and the ratio of their times.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::figures::median;

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

/// The median of a ratio of the times of calls, which one task makes in turn. A round trip takes up
/// to three times as long after the scheduler has moved a thread to another core.
pub fn in_turn<T: Send + 'static, const N: usize>(
    runtime: &Runtime,
    turns: u64,
    fresh: fn() -> T,
    calls: [&Call<T>; N],
    ratio: fn([Duration; N]) -> f64,
) -> f64 {
    let calls = calls.map(Arc::clone);
    let ratios = async move {
        let mut ratios = Vec::new();
        for _ in 0..turns {
            let mut times = [Duration::ZERO; N];
            for (time, call) in times.iter_mut().zip(&calls) {
                let (value, start) = (fresh(), Instant::now());
                call(value).await;
                *time = start.elapsed();
            }
            ratios.push(ratio(times));
        }
        ratios
    };
    median(runtime.block_on(runtime.spawn(ratios)).unwrap().into_iter())
}
