//! What is run for an event.
//!
//! 1. `routes`: which handler runs for which event type;
//! 2. `extract`: what handlers take of their delivery, and what the extractors of all adapters do;
//!    `status`: what the status of a framework's response means;
//! 3. `portable`: handlers that know no web framework;
//! 4. `error`: why a handler failed; `dead_letter`: where events go that can never be handled.

mod dead_letter;
mod error;
mod extract;
mod portable;
mod routes;
mod status;

pub use dead_letter::{DeadLetter, DeadLetterSink};
pub use error::HandlerError;
pub use extract::{ExtractError, FromDelivery, extract};
pub use portable::{BeginsWithEvent, Handler, PortableHandler};
pub use routes::{RouteError, Routes};
pub(crate) use status::cut;
pub use status::{MAX_REASON_BYTES, error_status, handler_result, is_failure, service_result};
