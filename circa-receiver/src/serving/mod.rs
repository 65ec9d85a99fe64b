//! What a server needs beside the receivers, once for all adapters: its limits, its readiness, and
//! its end.
//!
//! 1. `limits`: how long a head and an idle connection may take, and how many connections there may
//!    be;
//! 2. `connections`: which of them are late, and which gives way where there are too many;
//! 3. `readiness`: whether traffic should come here, for health checks;
//! 4. `lifecycle`: from the first signal to the end of the process.

mod connections;
mod lifecycle;
mod limits;
mod readiness;

pub use connections::{Connection, Connections, Exchange};
pub use lifecycle::Lifecycle;
pub use limits::Limits;
pub use readiness::{Probe, Readiness};
