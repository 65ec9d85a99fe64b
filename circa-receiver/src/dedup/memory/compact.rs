//! A store that keeps what is done in one map, and its order in one queue.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{Done, Memory, Record, memory_store};
use crate::dedup::Key;

/// How many entries a completion looks at to free those whose retention is over: more than it adds, so that none are left behind.
const FREED_AT_ONCE: usize = 2;

/// Claims in this process's memory, as in a [`MemoryStore`](super::MemoryStore), with less work and less memory for each.
///
/// When full it evicts the entry that was done first, and counts it; it never drops a claim in progress. Entries are freed in the order in which
/// they were done: beside one with a long retention, those behind it that have a shorter one stay in memory, though no longer remembered.
pub struct CompactMemoryStore(Memory<Queue>);

struct Queue {
    records: HashMap<Key, Record>,
    /// The keys as they were done, with the end of their retention. An entry whose record has another end is of a key that was forgotten or done again.
    order: VecDeque<(Key, Duration)>,
    capacity: usize,
    evicted: u64,
}

impl CompactMemoryStore {
    /// A store that remembers so many done events (100,000 by default); at least one.
    pub fn with_capacity(capacity: u64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX).max(1);
        Self(Memory::new(Queue { records: HashMap::new(), order: VecDeque::new(), capacity, evicted: 0 }))
    }

    /// How many done events were evicted because the store was full: if this rises, raise the capacity.
    pub fn evicted(&self) -> u64 {
        self.0.lock().done.evicted
    }
}

memory_store! { CompactMemoryStore }

impl Queue {
    fn len(&self) -> usize {
        self.records.len()
    }

    /// Frees the oldest entry if `lapsed` says so of its record's end, or nothing stands behind it any more.
    fn free_oldest(&mut self, lapsed: impl FnOnce(Duration) -> bool) -> Option<Freed> {
        let (key, ends) = self.order.front()?;
        let current = self.records.get(key).is_some_and(|record| record.ends == *ends);
        if current && !lapsed(*ends) {
            return None;
        }
        let (key, _) = self.order.pop_front()?;
        if !current {
            return Some(Freed::Nothing);
        }
        self.records.remove(&key);
        Some(Freed::Record)
    }
}

enum Freed {
    Record,
    Nothing,
}

impl Done for Queue {
    fn get(&mut self, key: &Key) -> Option<Record> {
        self.records.get(key).copied()
    }

    fn insert(&mut self, key: &Key, record: Record, now: Duration) {
        for _ in 0..FREED_AT_ONCE {
            self.free_oldest(|ends| ends <= now);
        }
        self.records.insert(key.clone(), record);
        self.order.push_back((key.clone(), record.ends));
        while self.records.len() > self.capacity {
            if let Some(Freed::Record) = self.free_oldest(|_| true) {
                self.evicted += 1;
            }
        }
        // What was forgotten and done again has left entries behind.
        if self.order.len() / 2 > self.records.len() {
            self.order.retain(|(key, ends)| self.records.get(key).is_some_and(|record| record.ends == *ends));
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Record> {
        self.records.remove(key)
    }
}
