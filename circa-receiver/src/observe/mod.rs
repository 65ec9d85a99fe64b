//! What is told to logs and metrics.
//!
//! 1. `observer`: the trait, one method for each thing worth knowing; `operation`, `warning`: what its methods name;
//! 2. `tracing`: the observer that writes to `tracing`; `span`: the span of a handler.

mod observer;
mod observers;
mod operation;
mod span;
#[cfg(feature = "tracing")]
mod tracing;
mod warning;

pub use self::observer::Observer;
pub(crate) use self::observers::Observers;
pub use self::operation::StoreOperation;
pub(crate) use self::span::in_handler_span;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;
pub use self::warning::ConfigWarning;
