//! One delivery, from head to answer.
//!
//! 1. `builder`: the settings; `defaults`: each with its reason; `config`: what they choose between; `build`: what
//!    is refused, and what is made;
//! 2. `receive`: the [`Receiver`] and the order of the stages; `shared`: what all its clones share;
//! 3. `admit`: the checks from the method to the signed body; `body` reads the body, `readers` bounds what is waited for;
//! 4. with an inbox: `accept` stores the event, and `worker` makes what runs it later; without one:
//! 5. `task`: what runs apart from the request; `admission`: whether it may run the handler, or what it is answered;
//! 6. `run`: the handler's run, and what becomes of its claim;
//! 7. `repeat`: a call of a store that is away for a moment; `notices`: what is told once;
//! 8. `drain`: what an adapter does with the rest of a body that was answered before its end.

mod accept;
mod admission;
mod admit;
mod body;
mod build;
mod builder;
mod config;
mod defaults;
mod drain;
#[cfg(feature = "http")]
mod http;
mod notices;
mod readers;
mod receive;
mod repeat;
mod run;
mod shared;
mod task;
mod worker;

pub use builder::ReceiverBuilder;
pub use config::{ConfigError, Mode, StoreFailure, UnknownMode};
pub use drain::{Drain, Drainable};
pub use receive::{Receiver, Reception};
pub use task::{Admitted, Answer};
