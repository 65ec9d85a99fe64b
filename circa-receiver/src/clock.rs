//! The clock, injected: the only place that reads the system's time.

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Where the receiver gets its time from. [`SystemClock`] by default.
pub trait Clock: Send + Sync + 'static {
    /// Now, in whole seconds since 1970-01-01T00:00:00Z. Judges the signed time.
    ///
    /// # Errors
    ///
    /// [`ClockError`] where the clock stands before 1970; deliveries are then answered 503.
    fn unix_seconds(&self) -> Result<i64, ClockError>;

    /// Time since an arbitrary origin, never going back. Judges leases and retention in in-process
    /// stores.
    fn monotonic(&self) -> Duration;
}

/// The clock stands before 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the clock stands before 1970; set the system's time")]
pub struct ClockError;

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_seconds(&self) -> Result<i64, ClockError> {
        unix_seconds(SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
        ORIGIN.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// A point in time as whole unix seconds.
pub(crate) fn unix_seconds(time: SystemTime) -> Result<i64, ClockError> {
    let since_1970 = time.duration_since(UNIX_EPOCH).map_err(|_| ClockError)?;
    i64::try_from(since_1970.as_secs()).map_err(|_| ClockError)
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn unix_seconds(&self) -> Result<i64, ClockError> {
        (**self).unix_seconds()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}
