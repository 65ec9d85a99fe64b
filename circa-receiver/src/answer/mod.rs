//! What the sender is told.
//!
//! 1. `rejection`: why a delivery was refused; `fault`: what is wrong with its payload;
//! 2. `outcome`: what became of a delivery, and the one table that turns it into a response.

mod fault;
mod outcome;
mod rejection;

pub use fault::PayloadFault;
#[cfg(feature = "testing")]
pub(crate) use outcome::OUTCOME_HEADER;
pub use outcome::{Outcome, Response};
#[cfg(feature = "serve")]
pub(crate) use outcome::{plain, with_header};
pub use rejection::Rejection;
