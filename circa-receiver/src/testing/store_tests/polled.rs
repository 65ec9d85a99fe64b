//! Drops a call at one of its awaits.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use crate::error::StoreError;

/// The wake-ups after which a call counts as one that never ends.
const MOST_POLLS: usize = 10_000;

/// Polls a call so many times, each time when it was woken. Its answer, or `None` where it was
/// dropped before its end.
pub(in crate::testing) async fn polled<T>(
    times: usize,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Option<T> {
    assert!(times < MOST_POLLS, "the call does not end");
    let mut call = pin!(call);
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match call.as_mut().poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer.expect("the store answers"))),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
