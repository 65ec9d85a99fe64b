//! Senders in a box: they behave as the documentation says, and misbehave as the world does.
//!
//! A simulator sends events to a [`Target`], follows each delivery's documented life, and hands out a [`Ledger`] that answers: was an event lost, was
//! one handled twice, would the endpoint have been disabled? The handlers under test record their runs in [`HandlerRuns`].

mod circa;
mod circularo;
mod endpoint;
mod faults;
mod ledger;
mod runs;
mod target;

pub use circa::{CircaSimulator, RETRY_DELAYS, SENDER_TIMEOUT};
pub use circularo::CircularoSimulator;
pub use endpoint::Disabling;
pub use faults::Faults;
pub use ledger::Ledger;
pub use runs::{HandlerRun, HandlerRuns};
pub use target::{Answer, HttpTarget, SimulatedBody, Target};

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

/// Runs all futures at once in this task, so that they need not be `Send`.
async fn join_all<'a>(futures: impl IntoIterator<Item = Pin<Box<dyn Future<Output = ()> + 'a>>>) {
    let mut futures: Vec<_> = futures.into_iter().collect();
    poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
