//! What every dedup store must do, as tests for a store of your own: the contract of
//! [`DedupStore`](crate::DedupStore), row by row.
//!
//! Write once, in a test file, how a store is made; [`store_tests!`](crate::store_tests) makes a
//! test of every behaviour in [`behaviours`], by its name:
//!
//! ```
//! use std::time::Duration;
//!
//! use circa_receiver::{
//!     DedupStore, MemoryStore, async_trait,
//!     dedup::{ClaimAnswer, ClaimRequest, Key, Nonce, StoreError, Token},
//!     testing::store_tests::Subject,
//! };
//!
//! /// A store of one's own.
//! struct Own(MemoryStore);
//!
//! #[async_trait]
//! impl DedupStore for Own {
//!     async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
//!         self.0.claim(request).await
//!     }
//!
//!     async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
//!         self.0.renew(key, token, lease).await
//!     }
//!
//!     async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
//!         self.0.complete(key, token, retention).await
//!     }
//!
//!     async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
//!         self.0.release(key, token).await
//!     }
//!
//!     async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
//!         self.0.withdraw(key, nonce).await
//!     }
//!
//!     async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
//!         self.0.forget(key).await
//!     }
//! }
//!
//! async fn subject() -> Subject {
//!     Subject::new(Own(MemoryStore::with_capacity(1_000_000)))
//! }
//!
//! circa_receiver::store_tests!(subject);
//! # // Here no test runs; one row shows that they would.
//! # use circa_receiver::testing::store_tests::{behaviours, run};
//! # run(subject, behaviours::absent_then_in_progress_then_done);
//! ```
//!
//! Each row is about one rule. `random_traces_are_answered_as_by_the_model` compares the store with
//! a model, call by call, and prints the shortest trace on which they differ. `STORE_TRACES=10000`
//! makes it 10,000 traces in place of 64.
//!
//! The rows use keys of their own, so that they can share a server; entries that they leave there
//! lapse within 10 minutes.

pub mod behaviours;
mod in_time;
mod list;
mod model;
pub(in crate::testing) mod polled;
pub(in crate::testing) mod run;
mod subject;
#[cfg(test)]
mod tests;

pub use run::{run, run_alone};
pub use subject::Subject;
