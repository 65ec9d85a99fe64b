//! Engine: what the stores on one file or one server share. It knows none of their tables.
//!
//! 1. `postgres`: connections of a pool, and what their errors mean;
//! 2. `sqlite`: opening a file, and the thread that commits what is written to it in groups;
//! 3. `server_clock`: the clock of a server, so that it can refuse a call that arrives too late.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) mod server_clock;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
