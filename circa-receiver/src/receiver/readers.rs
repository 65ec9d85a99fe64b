//! The bodies that are being waited for: nobody has proved anything yet, so nobody owns a place
//! among them (contract, section 1a).
//!
//! A body that is there with its head never registers. Readers share a budget of bytes and a count;
//! when either is spent, the reader that has waited longest is evicted, never the newcomer.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use tokio::sync::oneshot;

/// All readers of one receiver.
pub(super) struct Readers {
    max_count: usize,
    max_bytes: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_number: u64,
    /// The bytes that all readers hold together.
    bytes: usize,
    /// By number: the first has waited longest.
    waiting: BTreeMap<u64, Waiting>,
}

struct Waiting {
    bytes: usize,
    evict: oneshot::Sender<()>,
}

impl Readers {
    pub(super) fn new(max_count: usize, max_bytes: usize) -> Self {
        Self { max_count, max_bytes, state: Mutex::default() }
    }

    /// Registers a body that has to be waited for and holds so many bytes.
    pub(super) fn register(self: &Arc<Self>, bytes: usize) -> Reader {
        let (evict, evicted) = oneshot::channel();
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.bytes += bytes;
        state.waiting.insert(number, Waiting { bytes, evict });
        state.evict_oldest(self.max_count, self.max_bytes);
        drop(state);
        Reader { readers: Arc::clone(self), number, evicted }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Evicts until count and bytes are within their budgets.
    fn evict_oldest(&mut self, max_count: usize, max_bytes: usize) {
        while self.waiting.len() > max_count || self.bytes > max_bytes {
            let Some((_, oldest)) = self.waiting.pop_first() else { return };
            self.bytes -= oldest.bytes;
            // Its request may have been dropped meanwhile.
            let _ = oldest.evict.send(());
        }
    }
}

/// A registered body; gone when dropped.
pub(super) struct Reader {
    readers: Arc<Readers>,
    number: u64,
    evicted: oneshot::Receiver<()>,
}

impl Reader {
    /// Ready when it is evicted.
    pub(super) fn poll_evicted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.evicted).poll(cx).map(drop)
    }

    /// The output of this work; `None` where the body is evicted first.
    pub(super) async fn unless_evicted<T>(mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match self.poll_evicted(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => work.as_mut().poll(cx).map(Some),
        })
        .await
    }

    /// The body holds so many bytes now.
    pub(super) fn hold(&self, bytes: usize) {
        let mut state = self.readers.lock();
        let Some(waiting) = state.waiting.get_mut(&self.number) else { return };
        let before = std::mem::replace(&mut waiting.bytes, bytes);
        state.bytes = state.bytes - before + bytes;
        state.evict_oldest(self.readers.max_count, self.readers.max_bytes);
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.readers.lock();
        if let Some(waiting) = state.waiting.remove(&self.number) {
            state.bytes -= waiting.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(reader: &mut Reader) -> bool {
        reader.evicted.try_recv() != Err(oneshot::error::TryRecvError::Empty)
    }

    /// Contract, section 1a: when count or bytes are spent, the oldest unfinished reader is
    /// evicted.
    #[test]
    fn the_oldest_gives_way() {
        let readers = Arc::new(Readers::new(2, 100));
        let mut first = readers.register(10);
        let mut second = readers.register(10);
        assert!(!is_evicted(&mut first));
        let mut third = readers.register(10);
        assert!(is_evicted(&mut first) && !is_evicted(&mut second), "too many");

        third.hold(95);
        assert!(is_evicted(&mut second) && !is_evicted(&mut third), "too many bytes");
        third.hold(101);
        assert!(is_evicted(&mut third), "too many bytes alone");

        drop((first, second, third));
        let state = readers.lock();
        assert_eq!((state.waiting.len(), state.bytes), (0, 0));
    }

    #[test]
    fn what_has_ended_leaves_its_place() {
        let readers = Arc::new(Readers::new(1, 100));
        drop(readers.register(100));
        assert!(!is_evicted(&mut readers.register(100)));
    }
}
