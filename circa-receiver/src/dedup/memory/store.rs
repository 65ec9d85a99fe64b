//! The store in this process's memory: bounded, expiring, forgotten on restart.
//!
//! Claims in progress stand in a map of their own, so that no eviction can drop one. One lock
//! covers the transitions between them and what is done.

use std::{
    collections::{HashMap, hash_map::RandomState},
    fmt,
    hash::BuildHasher,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use twox_hash::XxHash3_128;

use super::queue::{Digest, Queue, Record};
use crate::clock::{Clock, SystemClock};
use crate::dedup::fingerprint::Fingerprint;
use crate::dedup::key::Key;
use crate::dedup::store::{ClaimAnswer, ClaimRequest, DedupStore};
use crate::dedup::token::{Nonce, Token};
use crate::error::StoreError;

/// At 156 B an entry 16 MB when full. Circa's events of 72 h fit up to one event in 2.6 s on
/// average.
const DEFAULT_CAPACITY: u64 = 100_000;

/// Claims whose lease has lapsed are swept when so many stand in the map, and again when it has
/// doubled.
const SWEEP_FROM: usize = 1_024;

/// Claims in this process's memory: the default store. For one process: replicas and restarts know
/// nothing of each other's events.
///
/// When full it evicts the event that was done first, and counts it; it never drops a claim in
/// progress. It keeps a digest of 128 bits of each key, under a seed of its own: among a million
/// ids two are taken for one with a probability of 1 in 2 to the 89th. Entries are freed in the
/// order in which they were done: behind one with a long retention, others stay in memory although
/// they have lapsed.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    /// Secret: with it keys of the same digest could be found.
    seed: u64,
    state: Mutex<State>,
}

struct State {
    in_progress: HashMap<Digest, Held>,
    sweep_at: usize,
    last_token: u64,
    done: Queue,
}

struct Held {
    token: Token,
    nonce: Nonce,
    fingerprint: Fingerprint,
    /// On the injected clock.
    lease_ends: Duration,
}

impl Default for MemoryStore {
    /// A store that remembers 100,000 done events.
    fn default() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }
}

impl MemoryStore {
    /// A store that remembers so many done events (100,000 by default, 156 B each); at least one.
    pub fn with_capacity(events: u64) -> Self {
        let done = Queue::new(usize::try_from(events).unwrap_or(usize::MAX).max(1));
        Self {
            clock: Arc::new(SystemClock),
            seed: RandomState::new().hash_one(0),
            state: Mutex::new(State { in_progress: HashMap::new(), sweep_at: SWEEP_FROM, last_token: 0, done }),
        }
    }

    /// The same store on another clock, whose monotonic time rules leases and retention.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many done events were evicted because the store was full: if this rises, raise the
    /// capacity.
    pub fn evicted(&self) -> u64 {
        self.lock().done.evicted()
    }

    fn digest(&self, key: &Key) -> Digest {
        XxHash3_128::oneshot_with_seed(self.seed, key.as_bytes())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DedupStore for MemoryStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let (key, now) = (self.digest(request.key()), self.clock.monotonic());
        Ok(self.lock().claim(key, request, now))
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        let (key, lease_ends) = (self.digest(key), self.clock.monotonic().saturating_add(lease));
        let mut state = self.lock();
        let held = state.in_progress.get_mut(&key).filter(|held| held.token == token);
        Ok(held.map(|held| held.lease_ends = lease_ends).is_some())
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        let (key, now) = (self.digest(key), self.clock.monotonic());
        let mut state = self.lock();
        let Some(held) = state.take(key, |held| held.token == token) else { return Ok(false) };
        let record = Record { fingerprint: held.fingerprint, ends: now.saturating_add(retention) };
        state.done.insert(key, record, now);
        Ok(true)
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        Ok(self.lock().take(self.digest(key), |held| held.token == token).is_some())
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        Ok(self.lock().take(self.digest(key), |held| held.nonce == nonce).is_some())
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        let (key, now) = (self.digest(key), self.clock.monotonic());
        Ok(self.lock().done.remove(key).is_some_and(|done| now < done.ends))
    }
}

impl State {
    fn claim(&mut self, key: Digest, request: ClaimRequest<'_>, now: Duration) -> ClaimAnswer {
        if let Some(done) = self.done.get(key).filter(|done| now < done.ends) {
            return ClaimAnswer::Done { same_body: done.fingerprint == request.fingerprint() };
        }
        let lease_ends = now.saturating_add(request.lease());
        if let Some(held) = self.in_progress.get_mut(&key).filter(|held| now < held.lease_ends) {
            if held.nonce != request.nonce() {
                held.lease_ends = held.lease_ends.min(lease_ends);
                return ClaimAnswer::InProgress { retry_after: held.lease_ends - now };
            }
            held.lease_ends = lease_ends;
            return ClaimAnswer::Won(held.token);
        }
        self.sweep(now);
        self.last_token += 1;
        let token = Token::new(self.last_token);
        let held = Held { token, nonce: request.nonce(), fingerprint: request.fingerprint(), lease_ends };
        self.in_progress.insert(key, held);
        ClaimAnswer::Won(token)
    }

    fn take(&mut self, key: Digest, is_it: impl FnOnce(&Held) -> bool) -> Option<Held> {
        if is_it(self.in_progress.get(&key)?) { self.in_progress.remove(&key) } else { None }
    }

    /// Drops the claims whose lease has lapsed: their holders are gone, and their events may never
    /// come again.
    fn sweep(&mut self, now: Duration) {
        if self.in_progress.len() >= self.sweep_at {
            self.in_progress.retain(|_, held| now < held.lease_ends);
            self.sweep_at = SWEEP_FROM.max(self.in_progress.len() * 2);
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("MemoryStore")
            .field("done", &state.done.len())
            .field("in_progress", &state.in_progress.len())
            .finish_non_exhaustive()
    }
}
