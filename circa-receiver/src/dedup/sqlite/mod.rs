//! Claims in a SQLite file: durable on one machine, without a server.
//!
//! 1. `store`: the store, which hands each call to the thread that writes;
//! 2. `rows`: the table of claims, and the operations on it; `schema`: all tables of the file.

mod rows;
mod schema;
mod store;

pub use crate::engine::sqlite::SqliteOpenError;
pub(crate) use rows::{ClaimRows, Kept};
pub(crate) use schema::SCHEMA;
pub use store::SqliteStore;
