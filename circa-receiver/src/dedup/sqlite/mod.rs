//! Claims in a SQLite file: durable on one machine, without a server.
//!
//! 1. `store`: the store, which hands each call to the thread that writes;
//! 2. `rows`: the table, and the operations on it.

mod rows;
mod store;

pub use crate::engine::sqlite::SqliteOpenError;
pub use store::SqliteStore;
