//! The clock of a server as seen from here, so that a claim can say until when it is wanted.
//!
//! A server that was frozen finds claims in its sockets when it goes on, whose callers have given
//! up. Without a limit it would make them, and nobody would hold them until their leases lapse. The
//! limit is in the server's own time: each of its answers has its time, and this process adds how
//! long ago the answer arrived; no clock of this machine is compared with that of the server. Where
//! the server's clock has jumped, it refuses the claim, its answer has the new time, and the claim
//! is sent again.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

/// The server has not answered yet.
const UNKNOWN: i64 = i64::MIN;

pub(crate) struct ServerClock {
    started: Instant,
    /// The server's time at `started`, in microseconds since 1970.
    at_start: AtomicI64,
}

impl Default for ServerClock {
    fn default() -> Self {
        Self { started: Instant::now(), at_start: AtomicI64::new(UNKNOWN) }
    }
}

impl ServerClock {
    /// The server's time at an instant, in microseconds since 1970. Long ago where the server has
    /// not answered yet, so that it refuses the first claim and answers with its time.
    pub(crate) fn at(&self, instant: Instant) -> i64 {
        match self.at_start.load(Ordering::Relaxed) {
            UNKNOWN => UNKNOWN,
            at_start => at_start.saturating_add(micros(instant.saturating_duration_since(self.started))),
        }
    }

    /// Notes the server's time in an answer that arrived at an instant. The estimate is too early
    /// by the time that the answer was on its way, never too late. Where that was long, the next
    /// claim may be refused, and is sent again.
    pub(crate) fn heard(&self, arrived: Instant, clock: i64) {
        let at_start = clock.saturating_sub(micros(arrived.saturating_duration_since(self.started)));
        self.at_start.store(at_start, Ordering::Relaxed);
    }
}

/// A duration in microseconds, at most a hundred years: PostgreSQL's timestamps have an end, and
/// the numbers of Redis's scripts are doubles, which hold microseconds since 1970 exactly until the
/// year 2255.
pub(crate) fn micros(duration: Duration) -> i64 {
    const HUNDRED_YEARS: i64 = 100 * 366 * 86_400 * 1_000_000;
    i64::try_from(duration.as_micros()).unwrap_or(HUNDRED_YEARS).min(HUNDRED_YEARS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ServerClock, UNKNOWN, micros};

    #[test]
    fn the_server_is_followed_wherever_its_clock_goes() {
        let clock = ServerClock::default();
        let arrived = clock.started + Duration::from_secs(5);
        assert_eq!(clock.at(arrived), UNKNOWN);
        for heard in [1_747_000_800_000_000, 1_000_000_000_000_000, 2_000_000_000_000_000] {
            clock.heard(arrived, heard);
            assert_eq!(clock.at(arrived + Duration::from_secs(1)), heard + 1_000_000, "{heard}");
        }
    }

    #[test]
    fn endless_durations_end() {
        assert_eq!(micros(Duration::from_micros(7)), 7);
        assert!(micros(Duration::MAX) < i64::MAX / 2);
    }
}
