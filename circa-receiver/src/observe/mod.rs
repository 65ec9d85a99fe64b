//! What logs and metrics get.
//!
//! 1. `observer`: the trait, one method for each thing worth knowing; `observers`: all that a
//!    receiver has; `stage`, `operation`, `stats`, `warning`: what the methods name;
//! 2. `tracing`: the observer that writes to `tracing`; `span`: the spans of a delivery and of its
//!    handler; `run_span`: of a run from an inbox; `safe_span`: a span whose subscriber may panic;
//!    `metrics`: the observer that counts and measures;
//! 3. `diagnosis`: the mistake behind a signature that matches no secret.

mod diagnosis;
#[cfg(feature = "metrics")]
mod metrics;
mod observer;
mod observers;
mod operation;
mod run_span;
#[cfg(feature = "tracing")]
mod safe_span;
mod span;
mod stage;
mod stats;
#[cfg(feature = "tracing")]
mod tracing;
mod warning;

pub use self::diagnosis::{Diagnosis, Mismatch, Origin, Rewriting, Side};
#[cfg(feature = "metrics")]
pub use self::metrics::MetricsObserver;
pub use self::observer::Observer;
pub(crate) use self::observers::Observers;
pub use self::operation::StoreOperation;
pub(crate) use self::run_span::RunSpan;
#[cfg(all(feature = "serve", feature = "tracing"))]
pub(crate) use self::safe_span::catch;
pub(crate) use self::span::{DeliverySpan, in_handler_span};
pub use self::stage::Stage;
pub use self::stats::Stats;
#[cfg(feature = "tracing")]
pub use self::tracing::TracingObserver;
pub use self::warning::ConfigWarning;
