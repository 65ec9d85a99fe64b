//! What is told to logs and metrics.
//!
//! 1. `observer`: the trait, one method for each thing worth knowing, and the observer that writes to `tracing`;
//! 2. `warning`: settings that are allowed but unwise.

mod observer;
mod warning;

#[cfg(feature = "tracing")]
pub use observer::TracingObserver;
pub use observer::{Observer, StoreOperation};
pub use warning::ConfigWarning;
