//! Dedup: what every store must do, what only one of them must, and what a receiver makes of its
//! store.

mod claims;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
