//! The store in this process's memory: bounded, expiring, forgotten on restart.
//!
//! What is in progress stands in a map of its own, so that no eviction can drop a claim; what is done stands in a `moka` cache.
//! One lock covers the transitions between them. Deadlines are judged by the record and the injected clock; moka's own expiry only frees memory.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use moka::{Expiry, notification::RemovalCause, policy::EvictionPolicy, sync::Cache};

use super::{ClaimAnswer, ClaimRequest, DedupStore, Fingerprint, Key, Nonce, StoreError, Token};
use crate::{Clock, SystemClock};

/// About 370 B an entry: 37 MB when full. Circa's events of 72 h fit up to one event in 2.6 s on average.
const DEFAULT_CAPACITY: u64 = 100_000;

/// Claims whose lease has lapsed are looked for when so many stand in the map, and again when it has doubled.
const SWEEP_FROM: usize = 1_024;

/// Claims in this process's memory. For one process: replicas and restarts know nothing of each other's events.
///
/// When full it evicts the done entry that was seen longest ago, and counts it; it never drops a claim in progress.
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    in_progress: Mutex<InProgress>,
    done: Cache<Key, Done>,
    last_token: AtomicU64,
    evicted: Arc<AtomicU64>,
}

struct InProgress {
    claims: HashMap<Key, Held>,
    sweep_at: usize,
}

struct Held {
    token: Token,
    nonce: Nonce,
    fingerprint: Fingerprint,
    lease_ends: Duration,
}

#[derive(Clone)]
struct Done {
    fingerprint: Fingerprint,
    /// On the injected clock.
    ends: Duration,
    /// For moka, on its own clock.
    retention: Duration,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::with_capacity(DEFAULT_CAPACITY)
    }
}

impl MemoryStore {
    /// A store that remembers so many done events (100,000 by default, about 370 B each); at least one.
    pub fn with_capacity(capacity: u64) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&evicted);
        let done = Cache::builder()
            .max_capacity(capacity.max(1))
            // The default, TinyLFU, may refuse the newest entry when full: an event that was just handled would be forgotten at once.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Retention)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build();
        let in_progress = InProgress { claims: HashMap::new(), sweep_at: SWEEP_FROM };
        Self {
            clock: Arc::new(SystemClock),
            in_progress: Mutex::new(in_progress),
            done,
            last_token: AtomicU64::new(0),
            evicted,
        }
    }

    /// The same store on another clock, whose monotonic time rules leases and retention.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How many done events were evicted because the store was full: if this rises, raise the capacity.
    pub fn evicted(&self) -> u64 {
        self.done.run_pending_tasks();
        self.evicted.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, InProgress> {
        self.in_progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DedupStore for MemoryStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let now = self.clock.monotonic();
        let mut in_progress = self.lock();
        if let Some(done) = self.done.get(request.key()).filter(|done| now < done.ends) {
            return Ok(ClaimAnswer::Done { same_body: done.fingerprint == request.fingerprint() });
        }
        let lease_ends = now.saturating_add(request.lease());
        if let Some(held) = in_progress.claims.get_mut(request.key()).filter(|held| now < held.lease_ends) {
            if held.nonce != request.nonce() {
                return Ok(ClaimAnswer::InProgress { retry_after: held.lease_ends - now });
            }
            held.lease_ends = lease_ends;
            return Ok(ClaimAnswer::Won(held.token));
        }
        in_progress.sweep(now);
        let token = Token(self.last_token.fetch_add(1, Ordering::Relaxed) + 1);
        let held = Held { token, nonce: request.nonce(), fingerprint: request.fingerprint(), lease_ends };
        in_progress.claims.insert(request.key().clone(), held);
        Ok(ClaimAnswer::Won(token))
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        let lease_ends = self.clock.monotonic().saturating_add(lease);
        let mut in_progress = self.lock();
        let held = in_progress.claims.get_mut(key).filter(|held| held.token == token);
        Ok(held.map(|held| held.lease_ends = lease_ends).is_some())
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        let ends = self.clock.monotonic().saturating_add(retention);
        let mut in_progress = self.lock();
        let Some(held) = in_progress.take(key, token) else { return Ok(false) };
        self.done.insert(key.clone(), Done { fingerprint: held.fingerprint, ends, retention });
        Ok(true)
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        Ok(self.lock().take(key, token).is_some())
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        let now = self.clock.monotonic();
        let _transition = self.lock();
        Ok(self.done.remove(key).is_some_and(|done| now < done.ends))
    }
}

impl InProgress {
    fn take(&mut self, key: &Key, token: Token) -> Option<Held> {
        if self.claims.get(key)?.token == token { self.claims.remove(key) } else { None }
    }

    /// Drops the claims whose lease has lapsed, now and then: their holders are gone, and their events may never come again.
    fn sweep(&mut self, now: Duration) {
        if self.claims.len() >= self.sweep_at {
            self.claims.retain(|_, held| now < held.lease_ends);
            self.sweep_at = SWEEP_FROM.max(self.claims.len() * 2);
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("done", &self.done.entry_count())
            .field("in_progress", &self.lock().claims.len())
            .finish_non_exhaustive()
    }
}

/// Frees each entry when its own retention is over. Both hooks: moka keeps the old expiry on an update unless told.
struct Retention;

impl Expiry<Key, Done> for Retention {
    fn expire_after_create(&self, _: &Key, done: &Done, _: Instant) -> Option<Duration> {
        Some(done.retention)
    }

    fn expire_after_update(&self, _: &Key, done: &Done, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(done.retention)
    }
}
