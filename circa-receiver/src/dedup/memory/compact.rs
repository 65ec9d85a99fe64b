//! A store that keeps what is done in one map, and its order in one queue.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use super::{Done, Memory, Record, memory_store};
use crate::dedup::{BuildDigestHasher, Digest, Key};

/// Claims in this process's memory, as in a [`MemoryStore`](super::MemoryStore), with less work and less memory for each.
///
/// As that does, it tells done events by a digest of 128 bits of their keys, under a seed of this process: among a million ids two are taken for one with a
/// probability of 1 in 2 to the 89th.
///
/// When full it evicts the entry that was done first, and counts it; it never drops a claim in progress. Entries are freed in the order in which
/// they were done: beside one with a long retention, those behind it that have a shorter one stay in memory, though no longer remembered.
pub struct CompactMemoryStore(Memory<Queue>);

/// By the digests of the keys: the keys themselves, each in an allocation of its own that stays, would scatter what comes and goes with every delivery.
struct Queue {
    entries: HashMap<Digest, Entry, BuildDigestHasher>,
    /// As the keys were done.
    order: VecDeque<Place>,
    last_number: u64,
    capacity: usize,
    evicted: u64,
}

struct Entry {
    record: Record,
    number: u64,
}

/// Of a key in the queue.
struct Place {
    digest: Digest,
    /// That of the entry. Where the entry has another, the key was forgotten, or done again.
    number: u64,
    ends: Duration,
}

impl CompactMemoryStore {
    /// A store that remembers so many done events (100,000 by default); at least one.
    pub fn with_capacity(capacity: u64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX).max(1);
        let (entries, order) = (HashMap::default(), VecDeque::new());
        Self(Memory::new(Queue { entries, order, last_number: 0, capacity, evicted: 0 }))
    }

    /// How many done events were evicted because the store was full: if this rises, raise the capacity.
    pub fn evicted(&self) -> u64 {
        self.0.lock().done.evicted
    }
}

memory_store! { CompactMemoryStore }

impl Queue {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn is_current(&self, place: &Place) -> bool {
        self.entries.get(&place.digest).is_some_and(|entry| entry.number == place.number)
    }

    /// Takes the oldest out of the queue, and its entry if it has one. `false` if its time is not over, or there is none.
    fn free_oldest(&mut self, now: Duration) -> bool {
        // By the place's own end: its entry is seldom in the processor's cache.
        if self.order.front().is_none_or(|place| now < place.ends) {
            return false;
        }
        let Some(place) = self.order.pop_front() else { return false };
        if self.is_current(&place) {
            self.entries.remove(&place.digest);
        }
        true
    }
}

impl Done for Queue {
    fn get(&mut self, key: &Key) -> Option<Record> {
        self.entries.get(&key.digest()).map(|entry| entry.record)
    }

    fn insert(&mut self, key: &Key, record: Record, now: Duration) {
        // Two for one that comes: so none of those that have lapsed are left behind.
        let _ = self.free_oldest(now) && self.free_oldest(now);
        self.last_number += 1;
        let number = self.last_number;
        self.entries.insert(key.digest(), Entry { record, number });
        self.order.push_back(Place { digest: key.digest(), number, ends: record.ends });
        if self.entries.len() > self.capacity {
            while self.entries.len() > self.capacity && self.free_oldest(Duration::MAX) {}
            self.evicted += 1;
        }
        // What was forgotten, or done again, has left its place behind.
        if self.order.len() / 2 > self.entries.len() {
            let order = std::mem::take(&mut self.order);
            self.order = order.into_iter().filter(|place| self.is_current(place)).collect();
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Record> {
        self.entries.remove(&key.digest()).map(|entry| entry.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedup::Fingerprint;

    /// Replaying one event again and again leaves nothing behind, and its latest place in the queue counts.
    #[test]
    fn what_is_done_again_stands_where_it_was_done_last() {
        let record = Record { fingerprint: Fingerprint::from_bytes([0; 32]), ends: Duration::from_secs(60) };
        let mut queue =
            Queue { entries: HashMap::default(), order: VecDeque::new(), last_number: 0, capacity: 2, evicted: 0 };
        let key = |id| Key::new("circa", id);
        for _ in 0..1_000 {
            queue.insert(&key("again"), record, Duration::ZERO);
            assert!(queue.remove(&key("again")).is_some());
        }
        assert!(queue.order.len() <= 2, "{} places", queue.order.len());
        for id in ["again", "other", "again"] {
            queue.remove(&key(id));
            queue.insert(&key(id), record, Duration::ZERO);
        }
        queue.insert(&key("third"), record, Duration::ZERO);
        assert_eq!(queue.evicted, 1);
        assert!(queue.get(&key("other")).is_none() && queue.get(&key("again")).is_some());
    }
}
