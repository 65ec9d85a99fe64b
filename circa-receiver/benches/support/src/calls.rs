//! Asynchronous calls: their rate by many callers, and the ratio of their times.

use std::{pin::Pin, sync::Arc, time::Instant};

use tokio::{runtime::Runtime, task::JoinSet};

use crate::figures::median;

/// What a caller does with a fresh value, such as a key.
pub type Call<T> = Arc<dyn Fn(T) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// A call from a function.
pub fn call<T, F: Future<Output = ()> + Send + 'static>(call: impl Fn(T) -> F + Send + Sync + 'static) -> Call<T> {
    Arc::new(move |value| Box::pin(call(value)))
}

/// Calls per second by so many callers, each a task of its own that makes so many calls. The fresh
/// values are made before.
pub fn rate<T: Send + 'static>(runtime: &Runtime, call: &Call<T>, fresh: fn() -> T, callers: u64, calls: u64) -> f64 {
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
    (callers * calls) as f64 / start.elapsed().as_secs_f64()
}

/// The median of a ratio of the times of calls, which one task makes in turn. A round trip takes up
/// to three times as long after the scheduler has moved a thread to another core.
pub fn in_turn<T: Send + 'static, const N: usize>(
    runtime: &Runtime,
    turns: u64,
    fresh: fn() -> T,
    calls: [&Call<T>; N],
    ratio: fn([f64; N]) -> f64,
) -> f64 {
    let calls = calls.map(Arc::clone);
    let ratios = async move {
        let mut ratios = Vec::new();
        for _ in 0..turns {
            let mut times = [0.0; N];
            for (time, call) in times.iter_mut().zip(&calls) {
                let (value, start) = (fresh(), Instant::now());
                call(value).await;
                *time = start.elapsed().as_secs_f64();
            }
            ratios.push(ratio(times));
        }
        ratios
    };
    let ratios = runtime.block_on(async { tokio::spawn(ratios).await.unwrap() });
    median(ratios.into_iter())
}
