//! The store in this process's memory.
//!
//! `store`: the claims in progress, and the transitions; `queue`: what is done, bounded and
//! expiring.

mod queue;
mod store;

pub use store::MemoryStore;
