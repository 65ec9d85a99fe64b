//! How slow the machine is while a time is judged: a deadline is kept by the receiver, but seen
//! through a scheduler that other processes keep busy.

use std::{
    cell::Cell,
    future::pending,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::Request;

/// Between two probes, so that they are no load themselves.
const PAUSE: Duration = Duration::from_millis(20);

/// What the work comes to, and the longest time that the receiver took meanwhile for an answer that
/// waits for nothing: a 404 on a new connection.
///
/// A probe is under way nearly always, so that a stall anywhere in the work is seen by one.
pub(crate) async fn slowest_answer_during<T>(address: SocketAddr, work: impl Future<Output = T>) -> (T, Duration) {
    let (slowest, started) = (Cell::new(Duration::ZERO), Cell::new(None::<Instant>));
    let note = || slowest.set(slowest.get().max(started.take().map_or(Duration::ZERO, |started| started.elapsed())));
    let probes = async {
        loop {
            started.set(Some(Instant::now()));
            if Request::post("/nowhere").method("GET").attempt(address).await.is_none_or(|answer| answer.status != 404)
            {
                // The receiver has ended, and the work will find that out.
                return pending::<()>().await;
            }
            note();
            sleep(PAUSE).await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = probes => unreachable!("the probes go on"),
    };
    note();
    (done, slowest.get())
}
