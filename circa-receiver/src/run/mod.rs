//! Running a handler: what a delivery in dedup mode and a worker of an inbox share.
//!
//! 1. `attempt`: a handler to its end, within its time limit, unless it is stopped;
//! 2. `keeper`: renews leases meanwhile;
//! 3. `running`: what runs in this process, which duplicates and shutdown wait for;
//! 4. `pauses`: between calls that are repeated.

mod attempt;
mod keeper;
mod pauses;
mod running;

pub(crate) use attempt::{Attempt, attempt, call, timed_out};
pub(crate) use keeper::{Holder, Keeper, Kept};
pub(crate) use pauses::Pauses;
pub(crate) use running::{Awaited, Entry, HARD_END, Running, Visit};
