//! Promised figures: kept or missed.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// A figure, and what was promised for it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Promise {
    pub what: String,
    pub measured: f64,
    pub limit: f64,
    /// Whether the limit is an upper one.
    pub at_most: bool,
}

impl Promise {
    pub fn at_most(what: impl Into<String>, limit: f64, measured: f64) -> Self {
        Self { what: what.into(), measured, limit, at_most: true }
    }

    pub fn at_least(what: impl Into<String>, limit: f64, measured: f64) -> Self {
        Self { what: what.into(), measured, limit, at_most: false }
    }

    pub fn kept(&self) -> bool {
        if self.at_most { self.measured <= self.limit } else { self.measured >= self.limit }
    }

    /// `at most 1.10` or `at least 0.75`.
    pub fn bound(&self) -> String {
        format!("{} {:.2}", if self.at_most { "at most" } else { "at least" }, self.limit)
    }
}

/// Prints the promises; fails if one was missed.
pub fn judge(promises: &[Promise]) -> ExitCode {
    println!("\nPromises");
    let width = promises.iter().map(|promise| promise.what.chars().count()).max().unwrap_or_default();
    for promise in promises {
        let verdict = if promise.kept() { "kept" } else { "MISSED" };
        println!("  {:<width$}  {:>8.2}  {:<14} {verdict}", promise.what, promise.measured, promise.bound());
    }
    if promises.iter().all(Promise::kept) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
