//! A clock that is injected in place of SQLite's own.

use std::sync::Arc;

use crate::clock::Clock;

/// A clock, and its wall time at its origin.
#[derive(Clone)]
pub(crate) struct InjectedClock {
    clock: Arc<dyn Clock>,
    /// In milliseconds since 1970, when its monotonic time was zero.
    origin: i64,
}

impl InjectedClock {
    /// A clock that shows the wall time of now, and goes on with the monotonic time.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let seconds = clock.unix_seconds().unwrap_or(0);
        let origin = seconds.saturating_mul(1_000).saturating_sub(millis(&*clock));
        Self { clock, origin }
    }

    /// In milliseconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.origin.saturating_add(millis(&*self.clock))
    }
}

fn millis(clock: &dyn Clock) -> i64 {
    i64::try_from(clock.monotonic().as_millis()).unwrap_or(i64::MAX)
}
