//! Reads a body from a stream of chunks, within a limit and a deadline (contract, section 1).
//!
//! 1. a larger `Content-Length` is refused unread;
//! 2. the bytes read are counted, whatever was announced;
//! 3. the deadline is for the whole body, not per chunk;
//! 4. a body that has to be waited for registers as a reader, and ends when it is evicted;
//! 5. exactly the announced length is read: not every server ends the stream there;
//! 6. a stream that fails, or ends before the announced length, left the body incomplete.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::time::{Instant, sleep_until};

use super::readers::Reader;
use super::shared::Shared;
use crate::answer::Rejection;
use crate::observe::Stage;

/// What is reserved at most for a body on its announced length alone; what grows beyond it has been
/// received.
const MAX_RESERVED: usize = 64 * 1_024;

/// How many chunks are read between two checks of the deadline where the stream is never pending.
const CHUNKS_PER_CLOCK: usize = 64;

/// A whole body.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    /// How many bytes of memory it holds.
    pub(super) capacity: usize,
    /// Its place among the readers, where it had to be waited for: kept as long as it has to be
    /// waited for something else.
    pub(super) reader: Option<Reader>,
}

/// Reads the whole body, within the receiver's limit and the deadline.
pub(super) async fn read<E>(
    shared: &Arc<Shared>,
    mut body: Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
    content_length: Option<u64>,
    deadline: Instant,
) -> Result<Read, Rejection> {
    let limit = shared.body_limit;
    if content_length.is_some_and(|length| length > limit as u64) {
        return Err(Rejection::PayloadTooLarge);
    }
    let mut collected = Collected::new(content_length, limit, deadline);
    if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(collected.poll(body.as_mut(), cx))).await {
        return read.map(|()| collected.into_read(None));
    }
    // Most bodies come with their heads: a timer and a place among the readers are made for the
    // others alone.
    let _stay = shared.stay(Stage::Body);
    let mut reader = shared.readers.register(collected.capacity());
    let waited = async {
        let mut late = pin!(sleep_until(deadline));
        poll_fn(|cx| {
            if reader.poll_evicted(cx).is_ready() {
                return Poll::Ready(Err(Rejection::Overloaded));
            }
            let before = collected.capacity();
            if let Poll::Ready(read) = collected.poll(body.as_mut(), cx) {
                return Poll::Ready(read);
            }
            if collected.capacity() != before {
                reader.hold(collected.capacity());
            }
            ready!(late.as_mut().poll(cx));
            Poll::Ready(Err(Rejection::BodyReadTimeout))
        })
        .await
    };
    Box::pin(waited).await?;
    Ok(collected.into_read(Some(reader)))
}

/// The bytes read so far: a body of one chunk is never copied.
struct Collected {
    first: Bytes,
    /// Everything, from the second chunk on.
    all: Vec<u8>,
    chunks: usize,
    announced: Option<u64>,
    limit: usize,
    deadline: Instant,
}

impl Collected {
    fn new(announced: Option<u64>, limit: usize, deadline: Instant) -> Self {
        Self { first: Bytes::new(), all: Vec::new(), chunks: 0, announced, limit, deadline }
    }

    fn len(&self) -> usize {
        if self.chunks > 1 { self.all.len() } else { self.first.len() }
    }

    /// How many bytes of memory are held.
    fn capacity(&self) -> usize {
        self.first.len() + self.all.capacity()
    }

    /// Reads what is there, to the end where that is there.
    fn poll<E>(
        &mut self,
        mut body: Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        while let Some(wanted) = self.wanted() {
            match ready!(body.as_mut().poll_next(cx)) {
                // Not every server says that a sender hung up early.
                None if self.announced.is_some() => return Poll::Ready(Err(Rejection::BodyIncomplete)),
                None => return Poll::Ready(Ok(())),
                Some(Err(_)) => return Poll::Ready(Err(Rejection::BodyIncomplete)),
                Some(Ok(mut chunk)) => {
                    chunk.truncate(wanted);
                    if chunk.len() > self.limit - self.len() {
                        return Poll::Ready(Err(Rejection::PayloadTooLarge));
                    }
                    self.push(chunk);
                }
            }
            if self.chunks % CHUNKS_PER_CLOCK == 0 && Instant::now() >= self.deadline {
                return Poll::Ready(Err(Rejection::BodyReadTimeout));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// How many more bytes belong to the body, as far as its length was announced; `None` at its
    /// end.
    fn wanted(&self) -> Option<usize> {
        let Some(announced) = self.announced else { return Some(usize::MAX) };
        let left = announced.saturating_sub(self.len() as u64);
        (left > 0).then(|| usize::try_from(left).unwrap_or(usize::MAX))
    }

    fn push(&mut self, chunk: Bytes) {
        self.chunks += 1;
        if self.chunks == 1 {
            self.first = chunk;
            return;
        }
        self.reserve(self.len() + chunk.len());
        if self.chunks == 2 {
            self.all.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&chunk);
    }

    /// Makes room for so many bytes in all: twice as many as there was room for, and never more
    /// than may come.
    fn reserve(&mut self, needed: usize) {
        if needed <= self.all.capacity() {
            return;
        }
        let announced = self.announced.and_then(|length| usize::try_from(length).ok());
        let at_once = announced.unwrap_or(0).min(MAX_RESERVED);
        let may_come = announced.unwrap_or(self.limit).max(needed);
        let capacity = (2 * self.all.capacity()).max(at_once).min(may_come).max(needed);
        self.all.reserve_exact(capacity - self.all.len());
    }

    fn into_read(self, reader: Option<Reader>) -> Read {
        let capacity = self.capacity();
        let bytes = if self.chunks > 1 { self.all.into() } else { self.first };
        Read { bytes, capacity, reader }
    }
}
