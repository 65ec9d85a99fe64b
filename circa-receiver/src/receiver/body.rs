//! Reads a body from a stream of chunks, within a limit and a deadline.
//!
//! 1. a larger `Content-Length` is refused unread;
//! 2. the bytes read are counted, whatever was announced;
//! 3. the deadline is for the whole body, not per chunk;
//! 4. a stream that fails, or ends before the announced length, left the body incomplete.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::time::{Instant, timeout_at};

use crate::answer::Rejection;

/// What is reserved at most for a body on its announced length alone; what grows beyond it has been received.
const MAX_RESERVED: usize = 64 * 1_024;

/// Reads the whole body.
pub(crate) async fn read<E>(
    body: impl Stream<Item = Result<Bytes, E>>,
    content_length: Option<u64>,
    limit: usize,
    deadline: Instant,
) -> Result<Bytes, Rejection> {
    if content_length.is_some_and(|length| length > limit as u64) {
        return Err(Rejection::PayloadTooLarge);
    }
    let mut body = pin!(body);
    let mut read = Collected::Nothing;
    while let Some(chunk) = next(body.as_mut(), deadline).await? {
        let chunk = chunk.map_err(|_| Rejection::BodyIncomplete)?;
        if chunk.len() > limit - read.len() {
            return Err(Rejection::PayloadTooLarge);
        }
        // A stream that is always ready never lets the timer speak.
        if !matches!(read, Collected::Nothing) && Instant::now() >= deadline {
            return Err(Rejection::BodyReadTimeout);
        }
        read = read.push(chunk, content_length);
    }
    // Not every server tells that a sender hung up early.
    if content_length.is_some_and(|announced| announced > read.len() as u64) {
        return Err(Rejection::BodyIncomplete);
    }
    Ok(read.into_bytes())
}

/// The next chunk. A timer is only set where it has not arrived yet: most bodies come with their heads.
async fn next<S: Stream>(mut body: Pin<&mut S>, deadline: Instant) -> Result<Option<S::Item>, Rejection> {
    if let Poll::Ready(chunk) = poll_fn(|cx| Poll::Ready(body.as_mut().poll_next(cx))).await {
        return Ok(chunk);
    }
    let late = Box::pin(timeout_at(deadline, poll_fn(|cx| body.as_mut().poll_next(cx))));
    late.await.map_err(|_| Rejection::BodyReadTimeout)
}

/// The bytes read so far: a body of one chunk is never copied.
enum Collected {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

impl Collected {
    fn len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::One(chunk) => chunk.len(),
            Self::Many(chunks) => chunks.len(),
        }
    }

    fn push(self, chunk: Bytes, announced: Option<u64>) -> Self {
        match self {
            Self::Nothing => Self::One(chunk),
            Self::One(first) => {
                let announced = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
                let mut chunks = BytesMut::with_capacity(announced.min(MAX_RESERVED).max(first.len() + chunk.len()));
                chunks.extend_from_slice(&first);
                chunks.extend_from_slice(&chunk);
                Self::Many(chunks)
            }
            Self::Many(mut chunks) => {
                chunks.extend_from_slice(&chunk);
                Self::Many(chunks)
            }
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(chunk) => chunk,
            Self::Many(chunks) => chunks.freeze(),
        }
    }
}
