//! Dedup: the claim, the right to run the handler for one event.
//!
//! States per key: absent -> in progress (token, lease) -> done (retention); in progress -> absent
//! on release or lease expiry. A store keeps them: [`MemoryStore`] in this process, `SqliteStore`
//! in a file, your own by implementing [`DedupStore`].
//!
//! 1. `key`, `fingerprint`, `token`: what a claim is about, what it covers, and what fences it;
//! 2. `store`: the trait, its request and its answer;
//! 3. `claims`: makes claims in a store, each call bounded in time; `claim`: a claim as a guard;
//!    `tries`: what is tried again briefly;
//! 4. `memory`, `sqlite`, `redis`, `postgres`: the stores.

mod claim;
mod claims;
mod fingerprint;
mod key;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod token;
mod tries;

pub use fingerprint::Fingerprint;
pub use key::Key;
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub(crate) use postgres::{Asked, CLAIMS_TABLE, DURABLE, NEVER, TOKENS_SEQUENCE, identifier, literal};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresStore, sqlx};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
#[cfg(feature = "sqlite")]
pub(crate) use sqlite::{ClaimRows, Kept, SCHEMA};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOpenError, SqliteStore};
pub use store::{ClaimAnswer, ClaimRequest, DedupStore};
pub use token::{Nonce, Token};

pub use crate::error::StoreError;
pub(crate) use claim::{Claim, Claimed};
pub(crate) use claims::Claims;
