//! The clock, injected: the only place that reads the system's time.

use std::{sync::OnceLock, time::Duration};

/// Where the receiver gets its time from. [`SystemClock`] by default.
pub trait Clock: Send + Sync + 'static {
    /// Now, in whole seconds since 1970-01-01T00:00:00Z. Judges the signed time.
    ///
    /// # Errors
    ///
    /// [`ClockError`] where the clock stands before 1970; deliveries are then answered 503.
    fn unix_seconds(&self) -> Result<i64, ClockError>;

    /// Time since an arbitrary origin, never going back. Judges leases and retention in in-process stores.
    fn monotonic(&self) -> Duration;
}

/// The clock stands before 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the clock stands before 1970; set the system's time")]
pub struct ClockError;

/// The system's clock.
///
/// On Linux the second is that of the kernel's last tick, 1 to 10 ms ago, except in the last tenth of a second, when the exact time is asked. Should ticks
/// stall for longer than that tenth, it may be the second before.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_seconds(&self) -> Result<i64, ClockError> {
        #[cfg(target_os = "linux")]
        if let Some(seconds) = at_last_tick() {
            return Ok(seconds);
        }
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_err(|_| ClockError)?;
        i64::try_from(since_1970.as_secs()).map_err(|_| ClockError)
    }

    fn monotonic(&self) -> Duration {
        static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
        ORIGIN.get_or_init(std::time::Instant::now).elapsed()
    }
}

/// The second in which the kernel's last tick fell, unless the next may have begun since.
///
/// Read in 5 ns where the time itself takes 23, a fifteenth of the verification of 300 B.
#[cfg(target_os = "linux")]
fn at_last_tick() -> Option<i64> {
    let tick = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME_COARSE).ok()?;
    // The last tenth of a second is left to the exact clock, and what stands before 1970.
    (tick.tv_sec() >= 0 && tick.tv_nsec() < 900_000_000).then_some(tick.tv_sec() as i64)
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn unix_seconds(&self) -> Result<i64, ClockError> {
        (**self).unix_seconds()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use super::*;

    /// Contract, section 3: "`|now - t| <= tolerance`; both sides inclusive", so that the very second counts; also where it has just begun.
    #[test]
    fn the_second_is_never_the_one_before() {
        let exact = || SystemTime::now().duration_since(UNIX_EPOCH).map(|since_1970| since_1970.as_secs() as i64);
        let started = Instant::now();
        let mut seen = Vec::new();
        while started.elapsed() < Duration::from_millis(1_500) {
            let (before, second, after) = (exact(), SystemClock.unix_seconds(), exact());
            let second = second.expect("the clock stands after 1970");
            assert!(before.is_ok_and(|before| before <= second) && after.is_ok_and(|after| second <= after));
            if seen.last() != Some(&second) {
                seen.push(second);
            }
        }
        assert!(seen.len() >= 2, "the end of a second was not among what was read");
    }
}
