//! What the benches share: figures measured by criterion, calls by many callers, tables with goals,
//! signed deliveries.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)] // It runs in benches alone.

mod calls;
mod delivery;
mod figures;
mod table;

pub use calls::{Call, call, in_turn, runtime, time};
pub use delivery::{BOGUS, Delivery, SECRET, now, secret};
pub use figures::{Figures, calls, median};
pub use table::{Goal, Table, rounded};
