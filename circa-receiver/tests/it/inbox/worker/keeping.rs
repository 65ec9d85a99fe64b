//! What is kept of events that are over: dead letters, and the bodies of those that are handled.

use circa_receiver::{
    AnyEvent, HandlerError,
    inbox::{Change, Filter, Inbox},
};

use super::{Bench, seconds, settle};
use crate::support::receiving::ACCEPTED;

/// Contract, section 8a: dead letters never go by themselves unless a retention is set for them.
#[tokio::test(start_paused = true)]
async fn dead_letters_go_after_their_retention_if_one_is_set() {
    for is_set in [false, true] {
        let bench = Bench::new(|_: AnyEvent| async { Err(HandlerError::permanent("never")) });
        let builder = bench.builder();
        let builder = if is_set { builder.dead_letter_retention(seconds(3_600)) } else { builder };
        let _running = tokio::spawn(builder.build().unwrap().run());
        assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
        tokio::time::sleep(seconds(3_540)).await;
        assert_eq!(bench.inbox.memory().dead().len(), 1, "too early; set: {is_set}");
        tokio::time::sleep(seconds(700)).await;
        assert_eq!(bench.inbox.memory().dead().len(), usize::from(!is_set), "set: {is_set}");
    }
}

/// Contract, section 8a: bodies of done events are kept for the retention, or dropped at once by
/// choice.
#[tokio::test(start_paused = true)]
async fn bodies_of_handled_events_are_dropped_by_choice() {
    for is_dropped in [false, true] {
        let bench = Bench::new(|_: AnyEvent| async { Ok(()) });
        let builder = bench.builder();
        let builder = if is_dropped { builder.drop_handled_bodies() } else { builder };
        let worker = builder.build().unwrap();
        bench.deliver("evt_1").await;
        assert_eq!(worker.drain().await.unwrap(), 1);
        settle().await;
        // Run again from what is left: without its body it cannot be read.
        let handled = bench.inbox.list(&Filter::all(), None, 10).await.unwrap();
        for change in [Change::Discard { retention: seconds(60) }, Change::Restore, Change::Replay] {
            assert_eq!(bench.inbox.change(&[handled[0].id], change).await.unwrap(), 1);
        }
        assert_eq!(worker.drain().await.unwrap(), 1);
        assert_eq!(bench.endpoint.notes.count("handled"), if is_dropped { 1 } else { 2 }, "dropped: {is_dropped}");
    }
}
