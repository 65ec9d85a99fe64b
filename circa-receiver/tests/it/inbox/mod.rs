//! The inbox: what every one must do, and what only one of them must: contract, section 8a.

// Before the engines, which use its macro.
#[macro_use]
mod transactions;

mod accepting;
#[cfg(feature = "postgres")]
mod postgres;
mod protocol;
#[cfg(feature = "sqlite")]
mod sqlite;
mod support;
mod worker;
