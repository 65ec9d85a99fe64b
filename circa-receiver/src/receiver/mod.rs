//! One delivery, from head to answer.
//!
//! 1. `builder`: the settings; `defaults`: each with its reason; `config`: what they choose
//!    between; `build`: what is refused, and what is made;
//! 2. `receive`: the [`Receiver`] and the order of the stages; `shared`: what all its clones share;
//!    `stay`: what observers get of a delivery as a whole;
//! 3. `admit`: the checks from the method to the signed body; `body` reads the body, `readers`
//!    bounds what is waited for, `tenants` knows the secrets where there are several tenants;
//! 4. with an inbox: `accept` stores the event, and `worker` makes what runs it later; without one:
//! 5. `task`: claim and run, in a task that outlives the request; `admission`: whether it may run
//!    the handler, or what it is answered; `duplicate`: where a duplicate waits;
//! 6. `run`: the handler's run, and what becomes of its claim;
//! 7. `retry`: a call of a store that is away for a moment; `notices`: which notices were given
//!    already;
//! 8. `diagnosing`: which mismatches are explained to the observers;
//! 9. `drain`: what an adapter does with the rest of a body that was answered before its end;
//! 10. `receivers`: several receivers as one; `http`: heads and responses of the crate `http`.

mod accept;
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
mod notices;
mod readers;
mod receive;
mod receivers;
mod retry;
mod run;
mod shared;
mod stay;
mod task;
mod tenants;
mod worker;

pub use builder::ReceiverBuilder;
pub use config::{ConfigError, Mode, StoreFailure, UnknownMode};
pub use drain::{Drain, Drainable};
pub use receive::{Receiver, Reception};
pub use receivers::Receivers;
pub use task::{Admitted, Answer};
pub use tenants::SecretSource;
