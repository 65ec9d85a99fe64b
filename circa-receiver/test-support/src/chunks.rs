//! A body as a stream of chunks, all at hand.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_core::Stream;

/// A body that is at hand, chunk by chunk.
#[derive(Debug)]
pub struct Chunks(VecDeque<Bytes>);

impl Chunks {
    /// The body in chunks of `size` bytes, after an empty one, which a server may hand over as
    /// well.
    pub fn of(body: &Bytes, size: usize) -> Self {
        let chunks = (0..body.len()).step_by(size).map(|at| body.slice(at..body.len().min(at + size)));
        Self(std::iter::once(Bytes::new()).chain(chunks).collect())
    }
}

impl Stream for Chunks {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}
