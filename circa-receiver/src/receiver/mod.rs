//! One delivery, from head to answer.
//!
//! 1. `builder`: settings and defaults; `config`: what they choose between, and what is refused;
//! 2. `receive`: the [`Receiver`] and the order of the stages;
//! 3. `shared`: what all clones of a receiver share;
//! 4. `admit`: the checks from the method to the signed body; `body`: reads the body;
//! 5. `task`: the claim, the handler, and what becomes of both;
//! 6. `running`: the runs of this process, which duplicates and shutdown wait for.

mod admit;
mod body;
mod builder;
mod config;
mod receive;
mod running;
mod shared;
mod task;

pub use builder::Builder;
pub use config::{ConfigError, Mode, StoreFailure};
pub use receive::{Receiver, Reception};
pub use task::{Admitted, Answer};
