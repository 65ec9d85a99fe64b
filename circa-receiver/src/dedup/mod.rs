//! Dedup: the claim, the right to run the handler for one event.
//!
//! States per key: absent -> in progress (token, lease) -> done (retention); in progress -> absent on release or lease
//! expiry. A store keeps them: [`MemoryStore`] in this process, `SqliteStore` in a file, your own by implementing [`DedupStore`].
//!
//! 1. `store`: the trait, its keys, fingerprints and tokens;
//! 2. `claim`: the claim as a guard;
//! 3. `in_process`, `memory`, `sqlite`, `redis`, `postgres`: the stores.

mod claim;
mod in_process;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod server_clock;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;

pub use in_process::InProcessStore;
pub use memory::{CompactMemoryStore, MemoryStore};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, sqlx};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOpenError, SqliteStore};
pub use store::{ClaimAnswer, ClaimRequest, DedupStore, Fingerprint, Key, Nonce, Token};

pub use crate::error::StoreError;
pub(crate) use claim::{Claim, Claimed, Claims};
pub(crate) use store::{BuildDigestHasher, Digest, KeyMap};
