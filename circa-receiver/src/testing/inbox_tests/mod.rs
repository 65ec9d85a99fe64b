//! What every inbox must do, as tests for an inbox of your own: the contract of
//! [`Inbox`](crate::Inbox), row by row.
//!
//! Write once, in a test file, how an inbox is made and how its time is moved;
//! [`inbox_tests!`](crate::inbox_tests) makes a test of every behaviour in [`behaviours`], by its
//! name:
//!
//! ```
//! use circa_receiver::testing::{FakeClock, MemoryInbox, inbox_tests::Subject};
//!
//! async fn subject() -> Subject {
//!     let clock = FakeClock::at(1_747_000_800);
//!     let inbox = MemoryInbox::with_clock(clock.clone());
//!     Subject::new(inbox, move |time| {
//!         clock.advance(time);
//!         std::future::ready(())
//!     })
//! }
//!
//! circa_receiver::inbox_tests!(subject);
//! # // Here no test runs; one row shows that they would.
//! # use circa_receiver::testing::inbox_tests::{behaviours, run};
//! # run(subject, behaviours::accepted_then_leased_then_done);
//! ```
//!
//! `random_traces_are_answered_as_by_the_model` compares the inbox with
//! [`MemoryInbox`](crate::testing::MemoryInbox), call by call. `INBOX_TRACES=10000` makes it 10,000
//! traces in place of 64.

pub mod behaviours;
mod list;
mod subject;
#[cfg(test)]
mod tests;

pub use crate::testing::store_tests::{run, run_alone};
pub use subject::Subject;
