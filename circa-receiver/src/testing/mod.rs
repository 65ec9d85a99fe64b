//! For tests, yours and ours: signers for both senders, a fixture of every documented event, events
//! and deliveries without a request, fake clocks, a builder of signed requests, simulated senders
//! that misbehave on demand, injected faults of stores and inboxes, probes of what stands in front
//! of a receiver, an inbox in memory, and what every dedup store and every inbox must do.

mod clock;
mod event;
#[cfg(feature = "receiver")]
mod fault_injection;
mod fixtures;
#[cfg(feature = "receiver")]
pub mod inbox_tests;
#[cfg(feature = "receiver")]
mod memory_inbox;
#[cfg(feature = "receiver")]
mod mounted;
mod request;
mod signer;
#[cfg(feature = "receiver")]
mod simulator;
#[cfg(feature = "receiver")]
pub mod store_tests;
#[cfg(feature = "receiver")]
mod surroundings;
#[cfg(feature = "receiver")]
mod tokio_clock;

pub use clock::{FakeClock, unix_time};
pub use event::{delivery, event};
#[cfg(feature = "receiver")]
pub use fault_injection::{FaultInjector, Faulty, StoreCall, StoreFault, StoreFaults};
pub use fixtures::{Fixture, fixtures};
#[cfg(feature = "receiver")]
pub use memory_inbox::MemoryInbox;
#[cfg(feature = "receiver")]
pub use mounted::{MountFault, ProbeSigner, assert_mounted, check_mounted};
pub use request::SignedRequest;
pub use signer::{CircaSigner, CircularoSigner};
#[cfg(feature = "receiver")]
pub use simulator::{
    Answer, CircaSimulator, CircularoSimulator, Disabling, Faults, HandlerRun, HandlerRuns, HttpTarget, Ledger,
    RETRY_DELAYS, SENDER_TIMEOUT, SimulatedBody, Target,
};
#[cfg(feature = "receiver")]
pub use tokio_clock::TokioClock;
