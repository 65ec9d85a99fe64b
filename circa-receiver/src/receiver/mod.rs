//! One delivery, from head to answer.
//!
//! 1. `builder`: the settings; `defaults`: each with its reason; `config`: what they choose between; `build`: what
//!    is refused, and what is made;
//! 2. `receive`: the [`Receiver`] and the order of the stages; `shared`: what all its clones share; `stay`: what observers get
//!    of a delivery as a whole;
//! 3. `admit`: the checks from the method to the signed body; `body` reads the body, `readers` bounds what is waited for,
//!    `tenants` knows the secrets where there are several tenants;
//! 4. `task`: claim and run, in a task that outlives the request; `admission`: whether it may run the handler, or what it
//!    is answered; `duplicate`: where a duplicate waits;
//! 5. `run`: the handler's run, and what becomes of its claim; `keeper` renews the lease meanwhile;
//! 6. `running`: the runs of this process, for duplicates and shutdown; `notices`: which notices were given already;
//! 7. `diagnosing`: which mismatches are explained to the observers;
//! 8. `drain`: what an adapter does with the rest of a body that was answered before its end;
//! 9. `receivers`: several receivers as one.

mod admission;
mod admit;
mod body;
mod build;
mod builder;
mod config;
mod defaults;
mod diagnosing;
mod drain;
mod duplicate;
#[cfg(feature = "http")]
mod http;
mod keeper;
mod notices;
mod readers;
mod receive;
mod receivers;
mod run;
mod running;
mod shared;
mod stay;
mod task;
mod tenants;

pub use builder::ReceiverBuilder;
pub use config::{ConfigError, Mode, StoreFailure, UnknownMode};
pub use drain::{Drain, Drainable};
pub use receive::{Receiver, Reception};
pub use receivers::Receivers;
pub use task::{Admitted, Answer};
pub use tenants::SecretSource;
