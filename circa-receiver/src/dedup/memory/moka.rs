//! The default store: `moka` keeps what is done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use moka::{Expiry, notification::RemovalCause, policy::EvictionPolicy, sync::Cache};

use super::{Done, Memory, Record, memory_store};
use crate::dedup::{BuildDigestHasher, Digest, Key};

/// Claims in this process's memory. For one process: replicas and restarts know nothing of each other's events.
///
/// When full it evicts the done entry that was seen longest ago, and counts it; it never drops a claim in progress.
/// [`CompactMemoryStore`](super::CompactMemoryStore) promises the same, is faster and takes less memory.
pub struct MemoryStore(Memory<Cached>);

struct Cached {
    cache: Cache<Digest, Entry, BuildDigestHasher>,
    evicted: Arc<AtomicU64>,
}

#[derive(Clone, Copy)]
struct Entry {
    record: Record,
    /// For moka, on its own clock, which only frees memory.
    retention: Duration,
}

impl MemoryStore {
    /// A store that remembers so many done events (100,000 by default, about 330 B each); at least one.
    pub fn with_capacity(capacity: u64) -> Self {
        let evicted = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&evicted);
        let cache = Cache::builder()
            .max_capacity(capacity.max(1))
            // The default, TinyLFU, may refuse the newest entry when full: an event that was just handled would be forgotten at once.
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Retention)
            .eviction_listener(move |_, _, cause| {
                if cause == RemovalCause::Size {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
            .build_with_hasher(BuildDigestHasher::default());
        Self(Memory::new(Cached { cache, evicted }))
    }

    /// How many done events were evicted because the store was full: if this rises, raise the capacity.
    pub fn evicted(&self) -> u64 {
        let state = self.0.lock();
        state.done.cache.run_pending_tasks();
        state.done.evicted.load(Ordering::Relaxed)
    }
}

memory_store! { MemoryStore }

impl Cached {
    fn len(&self) -> u64 {
        self.cache.entry_count()
    }
}

impl Done for Cached {
    fn get(&mut self, key: &Key) -> Option<Record> {
        // Most are not there, and `get` would note that for the eviction policy.
        if !self.cache.contains_key(&key.digest()) {
            return None;
        }
        self.cache.get(&key.digest()).map(|entry| entry.record)
    }

    fn insert(&mut self, key: &Key, record: Record, now: Duration) {
        self.cache.insert(key.digest(), Entry { record, retention: record.ends.saturating_sub(now) });
    }

    fn remove(&mut self, key: &Key) -> Option<Record> {
        self.cache.remove(&key.digest()).map(|entry| entry.record)
    }
}

/// Frees each entry when its own retention is over. Both hooks: moka keeps the old expiry on an update unless told.
struct Retention;

impl Expiry<Digest, Entry> for Retention {
    fn expire_after_create(&self, _: &Digest, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.retention)
    }

    fn expire_after_update(&self, _: &Digest, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(entry.retention)
    }
}
