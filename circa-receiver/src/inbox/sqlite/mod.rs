//! The inbox in a SQLite file, which a dedup store may share.
//!
//! 1. `store`: the inbox, which hands each call to the thread that writes;
//! 2. `rows`: the tables, and the operations on them; `control`: those of operators;
//! 3. `transaction`: what is done in a transaction of the user's.

mod control;
mod rows;
mod store;
mod transaction;

/// The rusqlite whose transactions [`SqliteInbox::complete_in`] takes.
pub use rusqlite;

pub use store::SqliteInbox;
