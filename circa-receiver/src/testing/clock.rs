//! A clock that stands still until it is moved.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::clock::{Clock, ClockError};

/// A clock that stands still until it is moved. Clones are the same clock.
///
/// It drives the receiver's judgement of signed times, and, given to it, the
/// [memory store](crate::dedup::MemoryStore)'s leases and retention. Deadlines are tokio's: move
/// those with `tokio::time::pause` and `advance`.
#[derive(Clone, Debug)]
pub struct FakeClock(Arc<Times>);

#[derive(Debug)]
struct Times {
    unix_seconds: AtomicI64,
    monotonic_nanos: AtomicU64,
}

impl FakeClock {
    /// A clock that shows this unix time, in seconds; before 1970 it is in error.
    pub fn at(unix_seconds: i64) -> Self {
        Self(Arc::new(Times { unix_seconds: AtomicI64::new(unix_seconds), monotonic_nanos: AtomicU64::new(0) }))
    }

    /// Moves both the wall clock, by whole seconds, and the monotonic clock.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.monotonic_nanos.fetch_add(nanos, Ordering::SeqCst);
        self.0.unix_seconds.fetch_add(i64::try_from(by.as_secs()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as an operator or NTP does.
    pub fn set(&self, unix_seconds: i64) {
        self.0.unix_seconds.store(unix_seconds, Ordering::SeqCst);
    }
}

/// A point in time from unix seconds, as [`Verifier::verify`](crate::Verifier::verify) takes it;
/// also before 1970.
///
/// # Panics
///
/// Where the platform cannot express it.
pub fn unix_time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.expect("the platform can express the time")
}

impl Clock for FakeClock {
    fn unix_seconds(&self) -> Result<i64, ClockError> {
        let now = self.0.unix_seconds.load(Ordering::SeqCst);
        if now < 0 { Err(ClockError) } else { Ok(now) }
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.monotonic_nanos.load(Ordering::SeqCst))
    }
}
