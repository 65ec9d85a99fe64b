//! A clock that goes with tokio's time: paused, it stands still; advanced, it moves along.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{Clock, ClockError};

/// A clock that goes with tokio's time, so that with paused time a test's deadlines, signed times,
/// leases and retention all move together.
///
/// Copies are the same clock.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    unix_seconds: i64,
    started: Instant,
}

impl TokioClock {
    /// A clock that shows this unix time now, in seconds.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime whose time is paused or enabled.
    pub fn starting_at(unix_seconds: i64) -> Self {
        Self { unix_seconds, started: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn unix_seconds(&self) -> Result<i64, ClockError> {
        let passed = i64::try_from(self.started.elapsed().as_secs()).map_err(|_| ClockError)?;
        let now = self.unix_seconds.saturating_add(passed);
        if now < 0 { Err(ClockError) } else { Ok(now) }
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}
