//! Counts and measures, for whatever recorder of the crate `metrics` is installed.
//!
//! 1. `names`: every metric, with what it means;
//! 2. `endpoint`, `inbox`: the metrics of one endpoint, all there from the start;
//! 3. `observer`: the observer that keeps them.

mod endpoint;
mod inbox;
mod names;
mod observer;

pub use observer::MetricsObserver;
