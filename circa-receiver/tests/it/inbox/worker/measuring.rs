//! What an inbox holds, for observers.

use circa_receiver::{AnyEvent, Routes, Sender, Worker};

use super::{Bench, seconds, settle};
use crate::support::receiving::{ACCEPTED, Fault, ScriptedInbox};

/// At the start, and every 15 s from then on; where nobody observes the inbox is not asked.
#[tokio::test(start_paused = true)]
async fn the_inbox_is_asked_now_and_then_where_somebody_observes() {
    let inbox = ScriptedInbox::new();
    for (is_observed, calls) in [(false, 0), (true, 5)] {
        let routes = Routes::new().fallback(async |_: AnyEvent, (): ()| Ok(()));
        let builder = Worker::builder(inbox.clone()).endpoint("circa", Sender::CIRCA, routes, ());
        let builder = if is_observed { builder.observer(std::sync::Arc::new(Silent)) } else { builder };
        let running = tokio::spawn(builder.build().unwrap().run());
        tokio::time::sleep(seconds(61)).await;
        assert_eq!(inbox.calls("stats"), calls, "observed: {is_observed}");
        running.abort();
    }
}

struct Silent;

impl circa_receiver::Observer for Silent {}

/// An inbox that is slow to count delays no run.
#[tokio::test(start_paused = true)]
async fn events_run_while_the_inbox_counts() {
    let bench = Bench::new(|_| async { Ok(()) });
    bench.inbox.script("stats", Fault::Hang, usize::MAX);
    let worker = bench.worker();
    let _running = tokio::spawn(worker.clone().run());
    settle().await;
    assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
    settle().await;
    assert_eq!((bench.endpoint.notes.count("handled"), worker.is_healthy()), (1, true));
}
