//! A body that follows a script: chunks, pauses, a lost connection.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;

/// What a [`Body`] does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Chunk(Bytes),
    Pause(Duration),
    /// Pending once, and woken at once.
    Yield,
    /// The connection is lost.
    Fail,
    /// Nothing comes any more, and the connection stays.
    Stall,
    /// Empty chunks for ever, always ready.
    EmptyForEver,
}

/// A body that follows a script and counts how often it is polled.
pub(crate) struct Body {
    steps: VecDeque<Step>,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
    polls: Arc<AtomicUsize>,
}

impl Body {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), pause: None, polls: Arc::default() }
    }

    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        Self::new([Step::Chunk(body.into())])
    }

    pub(crate) fn polls(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.polls)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, &'static str>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        loop {
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Chunk(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                Some(Step::Pause(pause)) => self.pause = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Step::Yield) => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Some(Step::Fail) => return Poll::Ready(Some(Err("connection reset by 203.0.113.7"))),
                Some(Step::Stall) => {
                    self.steps.push_front(Step::Stall);
                    return Poll::Pending;
                }
                Some(Step::EmptyForEver) => {
                    let polls = self.polls.load(Ordering::SeqCst);
                    assert!(polls < 10_000_000, "polled again and again: only this ends a test that would hang");
                    self.steps.push_front(Step::EmptyForEver);
                    return Poll::Ready(Some(Ok(Bytes::new())));
                }
            }
        }
    }
}
