//! The worker: runs what an inbox holds.
//!
//! 1. `builder`: the settings; `policy`: those of one type; `defaults`: each with its reason;
//!    `error`: why a worker is not built;
//! 2. `worker`: leases what is due, and starts a run for each;
//! 3. `job`: one run, and what becomes of its event; `permit`: what it takes of the worker;
//!    `backoff`: how long a failed event waits;
//! 4. `measure`: tells observers what the inbox holds; `prune`: removes old dead letters;
//!    `health`: whether the inbox answers;
//! 5. `handler`: what is run; `shared`: what a worker and its runs share.

mod backoff;
mod builder;
mod defaults;
mod error;
mod handler;
mod health;
mod job;
mod measure;
mod permit;
mod policy;
mod prune;
mod shared;
mod worker;

pub use builder::WorkerBuilder;
pub use error::WorkerError;
pub use handler::StoredHandler;
pub use policy::RunPolicy;
pub use worker::Worker;
