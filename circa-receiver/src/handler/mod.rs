//! What is run for an event.
//!
//! 1. `routes`: which handler runs for which event type;
//! 2. `extract`: what the extractors of all adapters do;
//! 3. `portable`: handlers that know no web framework.

mod extract;
mod portable;
mod routes;

pub use extract::ExtractError;
pub use portable::{DeadLetter, DeadLetterSink, Handler, HandlerError, PortableHandler};
pub use routes::{RouteError, Routes};
