//! For tests, yours and ours: signers for both senders, a fixture of every documented event, a fake clock, and a builder of signed requests.

mod clock;
mod fixtures;
mod request;
mod signer;

pub use clock::FakeClock;
pub use fixtures::{Fixture, fixtures};
pub use request::SignedRequest;
pub use signer::{CircaSigner, CircularoSigner};
