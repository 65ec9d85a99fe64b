//! The inbox in a SQLite file, which a dedup store may share.
//!
//! 1. `store`: the inbox, which hands each call to the thread that writes;
//! 2. `rows`: the tables, and the operations on them; `control`: those of operators.

mod control;
mod rows;
mod store;

pub use store::SqliteInbox;
