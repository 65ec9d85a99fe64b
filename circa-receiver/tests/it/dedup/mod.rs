//! Dedup: what every store must do, what only one of them must, and what a receiver makes of its store.

mod claims;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

/// The memory stores: both do the same.
mod memory {
    mod moka {
        use circa_receiver::MemoryStore as Store;

        include!("memory.rs");
    }

    mod compact {
        use circa_receiver::MemoryStore as Store;

        include!("memory.rs");
    }
}
