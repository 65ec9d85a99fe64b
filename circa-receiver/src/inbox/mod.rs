//! The inbox: an authentic event is stored before it is answered, and handled afterwards (contract, section 8a).
//!
//! 1. `entry`: what is stored of a delivery; `head`: of the request's head;
//! 2. `store`: the trait of an inbox; `accept`, `lease`, `settlement`, `stats`: what is asked of it and answered; `wake`:
//!    tells workers of this process that something is ready;
//! 3. `calls`: an inbox as receivers and workers use it, each call bounded in time; `work`: the worker;
//! 4. `sqlite`: the inbox in a file.

mod accept;
mod calls;
mod entry;
mod head;
mod lease;
mod settlement;
#[cfg(feature = "sqlite")]
mod sqlite;
mod stats;
mod store;
mod wake;
mod work;

pub use accept::{AcceptRequest, Accepted};
pub use entry::Entry;
pub use head::StoredHead;
pub use lease::{Interest, Lease, LeaseRequest, Leased};
pub use settlement::{Cause, Settlement};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteInbox;
pub use stats::Stats;
pub use store::Inbox;
pub use wake::Wake;
pub use work::{StoredHandler, Worker, WorkerBuilder, WorkerError};

pub(crate) use calls::Calls;
