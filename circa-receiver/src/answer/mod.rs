//! What the sender gets.
//!
//! 1. `rejection`: why a delivery was refused; `fault`: what is wrong with its payload;
//! 2. `outcome`: what became of a delivery;
//! 3. `status_table`: the one table that turns an outcome into a status, headers and a body;
//! 4. `response`: an answer.

mod fault;
mod outcome;
mod rejection;
mod response;
mod status_table;

pub use fault::PayloadFault;
pub use outcome::Outcome;
pub use rejection::Rejection;
pub use response::Response;
#[cfg(feature = "serve")]
pub(crate) use response::{plain, with_header};
#[cfg(feature = "testing")]
pub(crate) use status_table::OUTCOME_HEADER;
