//! What adapters of web frameworks need, and applications do not.
//!
//! An adapter reads the request, calls [`Receiver::receive`](crate::Receiver::receive), spawns the
//! task of what was admitted, and writes the response; `circa-receiver-axum` and
//! `circa-receiver-actix` are two.

#[cfg(feature = "receiver")]
pub use crate::handler::{
    ExtractError, MAX_REASON_BYTES, error_status, extract, handler_result, is_failure, service_result,
};
#[cfg(feature = "receiver")]
pub use crate::inbox::{StoredHandler, StoredHead};
#[cfg(feature = "receiver")]
pub use crate::receiver::{Admitted, Answer, Drain, Drainable, Reception};
pub use crate::verify::Head;

/// The name of the path's segment from which [`Head::tenant`] is taken.
pub const TENANT: &str = "tenant";
