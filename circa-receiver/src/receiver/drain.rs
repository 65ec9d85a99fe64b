//! Drains what is left of a body whose answer was given before its end (contract, section 1),
//! within bounds.
//!
//! A server that closes a connection with unread bytes resets it: the answer is lost on its way,
//! and a proxy takes the receiver for broken.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Sleep, sleep},
};

/// Of one connection: eight times the largest body that is taken by default.
const MAX_BYTES: usize = 8 * 1_024 * 1_024;

/// Of one connection.
const MAX_DURATION: Duration = Duration::from_secs(5);

/// In this process: strangers must not keep connections open by being refused.
static PERMITS: Semaphore = Semaphore::const_new(64);

/// A body that can be drained once it is answered. Give
/// [`Receiver::receive`](crate::Receiver::receive) a reference to it.
#[derive(Debug)]
pub struct Drainable<S> {
    stream: S,
    has_ended: bool,
}

impl<S, E> Drainable<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    /// Around the body of a request.
    pub fn new(stream: S) -> Self {
        Self { stream, has_ended: false }
    }

    /// Drains what is left, in a future to be spawned beside the answer. `None` where nothing is
    /// left to wait for.
    ///
    /// The future ends with the body, after 8 MiB, or after 5 s; at once where 64 others are
    /// draining. It keeps the stream until it is dropped. The server is to close the connection
    /// then.
    pub fn drain(self) -> Option<Drain<S>> {
        self.drain_with(&PERMITS)
    }

    fn drain_with(mut self, permits: &'static Semaphore) -> Option<Drain<S>> {
        let mut bytes_left = MAX_BYTES;
        // What has come already costs no task.
        while let Poll::Ready(next) = Pin::new(&mut self).poll_next(&mut Context::from_waker(Waker::noop())) {
            bytes_left = bytes_left.checked_sub(next?.ok()?.len())?;
        }
        let late = permits.try_acquire().ok().map(|permit| (Box::pin(sleep(MAX_DURATION)), permit));
        Some(Drain { body: self, bytes_left, late })
    }
}

impl<S, E> Stream for Drainable<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let next = ready!(Pin::new(&mut self.stream).poll_next(cx));
        self.has_ended = !matches!(next, Some(Ok(_)));
        Poll::Ready(next)
    }
}

/// Reads a body and throws it away: made by [`Drainable::drain`].
#[must_use = "nothing is drained unless it is polled"]
pub struct Drain<S> {
    body: Drainable<S>,
    bytes_left: usize,
    /// `None` where too many others were draining.
    late: Option<(Pin<Box<Sleep>>, SemaphorePermit<'static>)>,
}

impl<S, E> Future for Drain<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some((late, _)) = &mut this.late else { return Poll::Ready(()) };
        if late.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let Some(Ok(chunk)) = ready!(Pin::new(&mut this.body).poll_next(cx)) else { return Poll::Ready(()) };
            match this.bytes_left.checked_sub(chunk.len()) {
                Some(left) => this.bytes_left = left,
                None => return Poll::Ready(()),
            }
        }
    }
}

impl<S> fmt::Debug for Drain<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("bytes_left", &self.bytes_left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio::time::{Instant, timeout};

    use super::*;

    struct Chunks(UnboundedReceiver<Bytes>);

    impl Stream for Chunks {
        type Item = Result<Bytes, std::convert::Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.0.poll_recv(cx).map(|chunk| chunk.map(Ok))
        }
    }

    fn body() -> (UnboundedSender<Bytes>, Drainable<Chunks>) {
        let (sender, receiver) = unbounded_channel();
        (sender, Drainable::new(Chunks(receiver)))
    }

    fn permits(count: usize) -> &'static Semaphore {
        Box::leak(Box::new(Semaphore::new(count)))
    }

    /// Contract, section 1: drained "within bounds (default at most 8 MiB or 5 s a connection, at
    /// most 64 such drains at once; beyond that the connection is closed)".
    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_the_body_or_at_its_bounds() {
        let permits = permits(1);
        let (_sender, stalled) = body();
        let begun = Instant::now();
        let stalled = stalled.drain_with(permits).expect("the body has not ended");
        let (_other_sender, other) = body();
        let no_permit = other.drain_with(permits).expect("the body has not ended");
        timeout(Duration::ZERO, no_permit).await.expect("without a permit it ends at once");
        stalled.await;
        assert_eq!(begun.elapsed(), MAX_DURATION);

        let (sender, large) = body();
        let drain = tokio::spawn(large.drain_with(permits).expect("the body has not ended"));
        for _ in 0..9 {
            sender.send(Bytes::from(vec![0; 1_024 * 1_024])).expect("it is read");
        }
        timeout(Duration::from_secs(1), drain).await.expect("it ends at 8 MiB").expect("no panic");
        assert_eq!(permits.available_permits(), 1, "permits come back");

        let (sender, finished) = body();
        sender.send(Bytes::from_static(b"rest")).expect("it is read");
        drop(sender);
        assert!(finished.drain_with(permits).is_none(), "nothing is left to wait for");
    }
}
