//! PostgreSQL: the connections of a pool, and what their errors mean.
//!
//! 1. `pool`: the pool, given or made from a URL;
//! 2. `lending`: lends a connection for one call, and keeps some for those who hold a claim;
//! 3. `pooler`: refuses a pooler that loses prepared statements;
//! 4. `trouble`: the class of an error, which says whether another try helps;
//! 5. `table`: the table that a call is about, and the error as the operator reads it.

mod lending;
mod pool;
mod pooler;
mod table;
mod trouble;

pub(crate) use lending::{Connections, Purpose};
pub(crate) use pool::Source;
pub(crate) use pooler::keeps_statements;
pub(crate) use table::Table;
pub(crate) use trouble::Trouble;
