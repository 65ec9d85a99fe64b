//! Senders in a box: they behave as the documentation says, and misbehave as the world does.
//!
//! A simulator sends events to a [`Target`], follows each delivery's documented life, and hands out
//! a [`Ledger`] that answers: was an event lost, was one handled twice, would the endpoint have
//! been disabled? The handlers under test record their runs in [`HandlerRuns`].

mod attempt;
mod circa;
mod circularo;
mod endpoint;
mod faults;
mod join;
mod ledger;
mod runs;
mod target;

pub use attempt::SENDER_TIMEOUT;
pub use circa::{CircaSimulator, RETRY_DELAYS};
pub use circularo::CircularoSimulator;
pub use endpoint::Disabling;
pub use faults::Faults;
pub(crate) use faults::Random;
pub use ledger::Ledger;
pub use runs::{HandlerRun, HandlerRuns};
pub use target::{Answer, HttpTarget, SimulatedBody, Target};
