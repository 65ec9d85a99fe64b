//! Panics of what users and stores bring, caught where they arise.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
};

/// The output of the future that `start` makes, or the message of a panic of either.
pub(crate) async fn catch<F: Future>(start: impl FnOnce() -> F) -> Result<F::Output, String> {
    let mut future = pin!(catch_unwind(AssertUnwindSafe(start)).map_err(message)?);
    let caught = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    });
    caught.await.map_err(message)
}

fn message(panic: Box<dyn Any + Send>) -> String {
    let message = panic.downcast_ref::<&str>().copied();
    let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("panicked: {}", message.unwrap_or("no message"))
}
