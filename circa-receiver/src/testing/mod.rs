//! For tests, yours and ours: signers for both senders, a fixture of every documented event, a fake clock, and a builder of signed requests.

mod clock;
mod fixtures;
mod request;
mod signer;
#[cfg(feature = "receiver")]
mod simulator;
#[cfg(feature = "receiver")]
mod tokio_clock;

pub use clock::FakeClock;
pub use fixtures::{Fixture, fixtures};
pub use request::SignedRequest;
pub use signer::{CircaSigner, CircularoSigner};
#[cfg(feature = "receiver")]
pub use simulator::{
    Answer, CircaSimulator, CircularoSimulator, Disabling, Faults, HandlerRun, HandlerRuns, HttpTarget, Ledger,
    RETRY_DELAYS, SENDER_TIMEOUT, SimulatedBody, Target,
};
#[cfg(feature = "receiver")]
pub use tokio_clock::TokioClock;
