//! The memory stores that are measured.

use std::sync::Arc;

use circa_receiver::{CompactMemoryStore, DedupStore, MemoryStore};

/// Makes a store that remembers so many events.
pub type Make = fn(u64) -> Arc<dyn DedupStore>;

/// Every memory store, by name. Add new ones here: all measurements of stores run over this list.
pub const STORES: [(&str, Make); 2] = [
    ("MemoryStore", |capacity| Arc::new(MemoryStore::with_capacity(capacity))),
    ("CompactMemoryStore", |capacity| Arc::new(CompactMemoryStore::with_capacity(capacity))),
];

/// What a store remembers unless told otherwise.
pub const DEFAULT_CAPACITY: u64 = 100_000;
