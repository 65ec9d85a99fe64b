//! The inbox: what every one must do, and what only one of them must: contract, section 8a.

mod accepting;
#[macro_use]
mod completing;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;
mod support;
mod worker;
