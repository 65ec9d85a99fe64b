//! A SQLite file, and the one thread that writes to it.
//!
//! 1. `open`: opens or makes the file, and refuses one of another application or version;
//! 2. `file`: notices that the file at the path is not the open one any more;
//! 3. `writer`: commits the calls that have queued as one group; `clock`: its time, where that is
//!    injected.

mod clock;
mod file;
mod open;
mod writer;

pub(crate) use clock::InjectedClock;
pub(crate) use open::{Schema, open};
pub(crate) use writer::{Group, Writer};

pub use open::SqliteOpenError;
