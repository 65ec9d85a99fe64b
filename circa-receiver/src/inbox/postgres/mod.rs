//! The inbox in a table of PostgreSQL, beside the table of claims: one statement to accept, one to
//! lease a batch.
//!
//! 1. `store`: the inbox, which asks its statements as the dedup store does, on the same
//!    connections;
//! 2. `statements`: the SQL; `rows`: what is read from its answers; `end`: what a
//!    settlement changes;
//! 3. `transaction`: what is done in a transaction of the user's;
//! 4. `control_statements`, `control`: those of operators.

mod control;
mod control_statements;
mod end;
mod rows;
mod statements;
mod store;
mod transaction;

pub use store::PostgresInbox;
