//! The events that are done: a queue in the order in which they were done, and a map from each key
//! to its place there.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::dedup::fingerprint::Fingerprint;

/// A digest of a key, of 128 bits: see [`MemoryStore`](super::MemoryStore).
pub(super) type Digest = u128;

/// An event that is done.
#[derive(Clone, Copy)]
pub(super) struct Record {
    pub(super) fingerprint: Fingerprint,
    /// When its retention ends, on the injected clock.
    pub(super) ends: Duration,
}

/// Bounded and expiring: when full it forgets what was done first.
pub(super) struct Queue {
    /// The number of each key's place in the queue.
    numbers: HashMap<Digest, u64>,
    /// As the keys were done, numbered one by one.
    places: VecDeque<Place>,
    /// The number of the place in front.
    first_number: u64,
    capacity: usize,
    evicted: u64,
}

/// A key in the queue. It is obsolete where the key has no number any more, having been forgotten,
/// or another one, having been done again.
struct Place {
    digest: Digest,
    record: Record,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { numbers: HashMap::new(), places: VecDeque::new(), first_number: 0, capacity, evicted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// How many were forgotten because the queue was full.
    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// What is known of a key, though its retention may be over.
    pub(super) fn get(&self, key: Digest) -> Option<Record> {
        self.numbers.get(&key).map(|number| self.record(*number))
    }

    /// Remembers a key.
    pub(super) fn insert(&mut self, key: Digest, record: Record, now: Duration) {
        // Frees two that have lapsed for each that is added, so that lapsed entries never pile up.
        let _ = self.free_oldest(now) && self.free_oldest(now);
        self.numbers.insert(key, self.first_number + self.places.len() as u64);
        self.places.push_back(Place { digest: key, record });
        if self.numbers.len() > self.capacity {
            while self.numbers.len() > self.capacity && self.free_oldest(Duration::MAX) {}
            self.evicted += 1;
        }
        if self.places.len() / 2 > self.numbers.len() {
            self.drop_obsolete();
        }
    }

    /// Forgets a key.
    pub(super) fn remove(&mut self, key: Digest) -> Option<Record> {
        self.numbers.remove(&key).map(|number| self.record(number))
    }

    fn record(&self, number: u64) -> Record {
        self.places[(number - self.first_number) as usize].record
    }

    /// Takes the oldest out of the queue. `false` if its retention is not over, or there is none.
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

    /// Drops the obsolete places.
    fn drop_obsolete(&mut self) {
        let places = std::mem::take(&mut self.places);
        for (number, place) in (self.first_number..).zip(places) {
            if let Some(current) = self.numbers.get_mut(&place.digest).filter(|current| **current == number) {
                *current = self.first_number + self.places.len() as u64;
                self.places.push_back(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dedup::Fingerprint;

    /// Replaying one event again and again leaves nothing behind, and its latest place in the queue
    /// counts.
    #[test]
    fn what_is_done_again_stands_where_it_was_done_last() {
        let record = Record { fingerprint: Fingerprint::from_bytes([0; 32]), ends: Duration::from_secs(60) };
        let mut queue = Queue::new(2);
        let key = |id: &str| id.bytes().fold(0, |key, byte| key << 8 | u128::from(byte));
        for _ in 0..1_000 {
            queue.insert(key("again"), record, Duration::ZERO);
            assert!(queue.remove(key("again")).is_some());
        }
        assert!(queue.places.len() <= 2, "{} places", queue.places.len());
        for id in ["again", "other", "again"] {
            queue.remove(key(id));
            queue.insert(key(id), record, Duration::ZERO);
        }
        queue.insert(key("third"), record, Duration::ZERO);
        assert_eq!(queue.evicted, 1);
        assert!(queue.get(key("other")).is_none() && queue.get(key("again")).is_some());
    }

    /// Beside a list that is searched: whatever is done, done again, forgotten and over, in any
    /// order, what is remembered is what was done last.
    #[test]
    fn as_a_list_of_what_was_done_last() {
        // Full all the time, and never full while entries of any retention lapse.
        for (capacity, lapses) in [(20, false), (10_000, true)] {
            let mut queue = Queue::new(capacity);
            let mut list: Vec<(u64, Duration)> = Vec::new();
            let keys: Vec<u128> = (0..40).collect();
            let mut random = 1_u64;
            for step in 0..20_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Mostly a few keys, so that most places are left behind.
                let id = (random >> 33) % if step % 10 == 0 { 40 } else { 4 };
                let now = Duration::from_secs(if lapses { step } else { 0 });
                let live = |ends: Option<Duration>| ends.filter(|ends| now < *ends);
                let key = keys[id as usize];
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
                for (id, key) in keys.iter().copied().enumerate() {
                    let known = list.iter().find(|(known, _)| *known == id as u64).map(|(_, ends)| *ends);
                    assert_eq!(live(queue.get(key).map(|record| record.ends)), live(known), "{step}: {id}");
                }
            }
        }
    }
}
