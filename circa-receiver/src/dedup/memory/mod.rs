//! The stores in this process's memory: bounded, expiring, forgotten on restart.
//!
//! What is in progress stands in a map of its own, so that no eviction can drop a claim; what is done stands where the store keeps it: [`Done`].
//! One lock covers the transitions between them. Deadlines are judged by the record and the injected clock.

mod compact;
mod moka;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use self::{compact::CompactMemoryStore, moka::MemoryStore};
use super::{ClaimAnswer, ClaimRequest, Fingerprint, InProcessStore, Key, KeyMap, Nonce, Token};
use crate::clock::{Clock, SystemClock};

/// At 330 B an entry 33 MB when full. Circa's events of 72 h fit up to one event in 2.6 s on average.
const DEFAULT_CAPACITY: u64 = 100_000;

/// Claims whose lease has lapsed are looked for when so many stand in the map, and again when it has doubled.
const SWEEP_FROM: usize = 1_024;

/// What is done, bounded and expiring.
trait Done: Send + 'static {
    /// What is known of a key, though its retention may be over.
    fn get(&mut self, key: &Key) -> Option<Record>;

    /// Remembers a key; makes room by forgetting the oldest.
    fn insert(&mut self, key: &Key, record: Record, now: Duration);

    fn remove(&mut self, key: &Key) -> Option<Record>;
}

/// A key that is done.
#[derive(Clone, Copy)]
struct Record {
    fingerprint: Fingerprint,
    /// On the injected clock.
    ends: Duration,
}

/// A store in memory, wherever it keeps what is done.
struct Memory<D> {
    clock: Arc<dyn Clock>,
    state: Mutex<State<D>>,
}

struct State<D> {
    in_progress: KeyMap<Held>,
    sweep_at: usize,
    last_token: u64,
    done: D,
}

struct Held {
    token: Token,
    nonce: Nonce,
    fingerprint: Fingerprint,
    lease_ends: Duration,
}

impl<D> Memory<D> {
    fn new(done: D) -> Self {
        let state = State { in_progress: KeyMap::default(), sweep_at: SWEEP_FROM, last_token: 0, done };
        Self { clock: Arc::new(SystemClock), state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State<D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<D: Done> InProcessStore for Memory<D> {
    fn claim(&self, request: ClaimRequest<'_>) -> ClaimAnswer {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        if let Some(done) = state.done.get(request.key()).filter(|done| now < done.ends) {
            return ClaimAnswer::Done { same_body: done.fingerprint == request.fingerprint() };
        }
        let lease_ends = now.saturating_add(request.lease());
        if let Some(held) = state.in_progress.get_mut(request.key()).filter(|held| now < held.lease_ends) {
            if held.nonce != request.nonce() {
                return ClaimAnswer::InProgress { retry_after: held.lease_ends - now };
            }
            held.lease_ends = lease_ends;
            return ClaimAnswer::Won(held.token);
        }
        state.sweep(now);
        state.last_token += 1;
        let token = Token(state.last_token);
        let held = Held { token, nonce: request.nonce(), fingerprint: request.fingerprint(), lease_ends };
        state.in_progress.insert(request.key().clone(), held);
        ClaimAnswer::Won(token)
    }

    fn renew(&self, key: &Key, token: Token, lease: Duration) -> bool {
        let lease_ends = self.clock.monotonic().saturating_add(lease);
        let mut state = self.lock();
        let held = state.in_progress.get_mut(key).filter(|held| held.token == token);
        held.map(|held| held.lease_ends = lease_ends).is_some()
    }

    fn complete(&self, key: &Key, token: Token, retention: Duration) -> bool {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let Some(held) = state.take(key, token) else { return false };
        let record = Record { fingerprint: held.fingerprint, ends: now.saturating_add(retention) };
        state.done.insert(key, record, now);
        true
    }

    fn release(&self, key: &Key, token: Token) -> bool {
        self.lock().take(key, token).is_some()
    }

    fn forget(&self, key: &Key) -> bool {
        let now = self.clock.monotonic();
        self.lock().done.remove(key).is_some_and(|done| now < done.ends)
    }
}

impl<D> State<D> {
    fn take(&mut self, key: &Key, token: Token) -> Option<Held> {
        if self.in_progress.get(key)?.token == token { self.in_progress.remove(key) } else { None }
    }

    /// Drops the claims whose lease has lapsed, now and then: their holders are gone, and their events may never come again.
    fn sweep(&mut self, now: Duration) {
        if self.in_progress.len() >= self.sweep_at {
            self.in_progress.retain(|_, held| now < held.lease_ends);
            self.sweep_at = SWEEP_FROM.max(self.in_progress.len() * 2);
        }
    }
}

/// The public face of a store in memory.
macro_rules! memory_store {
    ($store:ident) => {
        impl Default for $store {
            fn default() -> Self {
                Self::with_capacity($crate::dedup::memory::DEFAULT_CAPACITY)
            }
        }

        impl $store {
            /// The same store on another clock, whose monotonic time rules leases and retention.
            #[must_use]
            pub fn clock(mut self, clock: impl $crate::clock::Clock) -> Self {
                self.0.clock = std::sync::Arc::new(clock);
                self
            }
        }

        impl $crate::dedup::InProcessStore for $store {
            fn claim(&self, request: $crate::dedup::ClaimRequest<'_>) -> $crate::dedup::ClaimAnswer {
                self.0.claim(request)
            }

            fn renew(&self, key: &$crate::dedup::Key, token: $crate::dedup::Token, lease: std::time::Duration) -> bool {
                self.0.renew(key, token, lease)
            }

            fn complete(
                &self,
                key: &$crate::dedup::Key,
                token: $crate::dedup::Token,
                retention: std::time::Duration,
            ) -> bool {
                self.0.complete(key, token, retention)
            }

            fn release(&self, key: &$crate::dedup::Key, token: $crate::dedup::Token) -> bool {
                self.0.release(key, token)
            }

            fn forget(&self, key: &$crate::dedup::Key) -> bool {
                self.0.forget(key)
            }
        }

        impl std::fmt::Debug for $store {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let state = self.0.lock();
                f.debug_struct(stringify!($store))
                    .field("done", &state.done.len())
                    .field("in_progress", &state.in_progress.len())
                    .finish_non_exhaustive()
            }
        }
    };
}
use memory_store;
