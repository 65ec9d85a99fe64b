//! Claims in PostgreSQL: one statement for each operation, one row for each event.
//!
//! Every call ends within the store's own timeout, whatever the server does.
//!
//! 1. `store`: the store and its operations;
//! 2. `calls`: asks a statement on a connection of the pool, and again where the connection was
//!    broken;
//! 3. `statements`: the SQL;
//! 4. `migration`: makes the table; `sweeper`: removes rows that have ended.

mod calls;
mod migration;
mod statements;
mod store;
mod sweeper;

/// The sqlx whose pool [`PostgresStore::new`] takes.
pub use sqlx;

pub(crate) use statements::{Asked, CLAIMS_TABLE, DURABLE, NEVER, TOKENS_SEQUENCE, identifier, literal};
pub use store::PostgresStore;
