//! The inbox: what every one must do, and what only one of them must: contract, section 8a.

mod accepting;
#[cfg(feature = "postgres")]
mod postgres;
mod protocol;
#[cfg(feature = "sqlite")]
mod sqlite;
mod support;
mod worker;
