//! The inbox: an authentic event is stored before it is answered, and handled afterwards (contract,
//! section 8a).
//!
//! 1. `entry`: what is stored of a delivery; `head`: of the request's head;
//! 2. `store`: the trait of an inbox; `accept`, `lease`, `settlement`: what is asked of it and
//!    answered; `wake`: tells workers of this process that something is ready; `control`,
//!    `replay`: what operators see and do;
//! 3. `calls`: an inbox as receivers and workers use it, each call bounded in time; `work`: the
//!    worker;
//! 4. `sqlite`, `postgres`: the inboxes in a file and in a table; `codes`: how both write states
//!    and causes.

mod accept;
mod calls;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod codes;
mod control;
mod entry;
mod head;
mod lease;
#[cfg(feature = "postgres")]
mod postgres;
mod replay;
mod settlement;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod wake;
mod work;

pub use accept::{AcceptRequest, Accepted};
pub use control::{Change, Failure, Filter, Pause, Record, State};
pub use entry::Entry;
pub use head::StoredHead;
pub use lease::{Interest, Lease, LeaseRequest, Leased};
#[cfg(feature = "postgres")]
pub use postgres::PostgresInbox;
pub use replay::{Group, Replay};
pub use settlement::{Cause, Settlement};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteInbox, rusqlite};
pub use store::Inbox;
pub use wake::Wake;
pub use work::{RunPolicy, StoredHandler, Worker, WorkerBuilder, WorkerError};

pub use crate::observe::Stats;

pub(crate) use calls::Calls;
