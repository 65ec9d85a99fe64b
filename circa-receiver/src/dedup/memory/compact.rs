//! A store that keeps what is done in one queue, in the order in which it was done, and where each key stands there in one map.

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
    /// The number of each key's place in the queue.
    numbers: HashMap<Digest, u64, BuildDigestHasher>,
    /// As the keys were done, numbered one by one. What comes and goes here stands side by side in the processor's cache.
    places: VecDeque<Place>,
    /// That of the place in front.
    first_number: u64,
    capacity: usize,
    evicted: u64,
}

/// A key in the queue. Left behind where the key has no number any more, having been forgotten, or another one, having been done again.
struct Place {
    digest: Digest,
    record: Record,
}

impl CompactMemoryStore {
    /// A store that remembers so many done events (100,000 by default); at least one.
    pub fn with_capacity(capacity: u64) -> Self {
        let capacity = usize::try_from(capacity).unwrap_or(usize::MAX).max(1);
        Self(Memory::new(Queue::new(capacity)))
    }

    /// How many done events were evicted because the store was full: if this rises, raise the capacity.
    pub fn evicted(&self) -> u64 {
        self.0.lock().done.evicted
    }
}

memory_store! { CompactMemoryStore }

impl Queue {
    fn new(capacity: usize) -> Self {
        Self { numbers: HashMap::default(), places: VecDeque::new(), first_number: 0, capacity, evicted: 0 }
    }

    fn len(&self) -> usize {
        self.numbers.len()
    }

    fn record(&self, number: u64) -> Record {
        self.places[(number - self.first_number) as usize].record
    }

    /// Takes the oldest out of the queue. `false` if its time is not over, or there is none.
    fn free_oldest(&mut self, now: Duration) -> bool {
        if self.places.front().is_none_or(|place| now < place.record.ends) {
            return false;
        }
        let Some(place) = self.places.pop_front() else { return false };
        if self.numbers.get(&place.digest) == Some(&self.first_number) {
            self.numbers.remove(&place.digest);
        }
        self.first_number += 1;
        true
    }

    /// Drops the places that were left behind.
    fn close_ranks(&mut self) {
        let places = std::mem::take(&mut self.places);
        for (number, place) in (self.first_number..).zip(places) {
            if let Some(current) = self.numbers.get_mut(&place.digest).filter(|current| **current == number) {
                *current = self.first_number + self.places.len() as u64;
                self.places.push_back(place);
            }
        }
    }
}

impl Done for Queue {
    fn get(&mut self, key: &Key) -> Option<Record> {
        self.numbers.get(&key.digest()).map(|number| self.record(*number))
    }

    fn insert(&mut self, key: &Key, record: Record, now: Duration) {
        // Two for one that comes: so none of those that have lapsed are left behind.
        let _ = self.free_oldest(now) && self.free_oldest(now);
        self.numbers.insert(key.digest(), self.first_number + self.places.len() as u64);
        self.places.push_back(Place { digest: key.digest(), record });
        if self.numbers.len() > self.capacity {
            while self.numbers.len() > self.capacity && self.free_oldest(Duration::MAX) {}
            self.evicted += 1;
        }
        if self.places.len() / 2 > self.numbers.len() {
            self.close_ranks();
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Record> {
        self.numbers.remove(&key.digest()).map(|number| self.record(number))
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
        let mut queue = Queue::new(2);
        let key = |id| Key::new("circa", id);
        for _ in 0..1_000 {
            queue.insert(&key("again"), record, Duration::ZERO);
            assert!(queue.remove(&key("again")).is_some());
        }
        assert!(queue.places.len() <= 2, "{} places", queue.places.len());
        for id in ["again", "other", "again"] {
            queue.remove(&key(id));
            queue.insert(&key(id), record, Duration::ZERO);
        }
        queue.insert(&key("third"), record, Duration::ZERO);
        assert_eq!(queue.evicted, 1);
        assert!(queue.get(&key("other")).is_none() && queue.get(&key("again")).is_some());
    }

    /// Beside a list that is searched: whatever is done, done again, forgotten and over, in any order, what is remembered is what was done last.
    #[test]
    fn as_a_list_of_what_was_done_last() {
        // Full all the time, and never full while entries of any retention lapse.
        for (capacity, lapses) in [(20, false), (10_000, true)] {
            let mut queue = Queue::new(capacity);
            let mut list: Vec<(u64, Duration)> = Vec::new();
            let keys: Vec<Key> = (0..40).map(|id| Key::new("circa", &format!("evt_{id}"))).collect();
            let mut random = 1_u64;
            for step in 0..20_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Mostly a few keys, so that most places are left behind.
                let id = (random >> 33) % if step % 10 == 0 { 40 } else { 4 };
                let now = Duration::from_secs(if lapses { step } else { 0 });
                let live = |ends: Option<Duration>| ends.filter(|ends| now < *ends);
                let key = &keys[id as usize];
                let known = list.iter().position(|(known, _)| *known == id).map(|at| list.remove(at).1);
                if random >> 60 < 6 {
                    assert_eq!(live(queue.remove(key).map(|record| record.ends)), live(known), "{step}");
                } else {
                    let ends = now + Duration::from_secs(if lapses { (random >> 40) % 200 } else { step + 1 });
                    let record = Record { fingerprint: Fingerprint::from_bytes([0; 32]), ends };
                    queue.insert(key, record, now);
                    list.push((id, ends));
                    if list.len() > capacity {
                        list.remove(0);
                    }
                    assert!(queue.places.len() <= 2 * list.len() + 1, "{step}: {} places", queue.places.len());
                }
                for (id, key) in keys.iter().enumerate() {
                    let known = list.iter().find(|(known, _)| *known == id as u64).map(|(_, ends)| *ends);
                    assert_eq!(live(queue.get(key).map(|record| record.ends)), live(known), "{step}: {id}");
                }
            }
        }
    }
}
