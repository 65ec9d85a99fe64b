//! What observers get: of metrics and spans, and what their documentation says.

mod answered;
#[cfg(feature = "tracing")]
mod documented;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "tracing")]
mod panicking_subscriber;
#[cfg(feature = "tracing")]
mod spans;
