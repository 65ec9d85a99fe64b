//! The memory stores: both do the same.
#![cfg(feature = "receiver")]
#![allow(clippy::unwrap_used, missing_docs)]

mod moka {
    use circa_receiver::MemoryStore as Store;

    include!("memory_store/behaviours.rs");
}

mod compact {
    use circa_receiver::CompactMemoryStore as Store;

    include!("memory_store/behaviours.rs");
}
