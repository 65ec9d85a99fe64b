//! The server's clock as seen from here, to say until when a claim is wanted.
//!
//! A server that was frozen finds claims in its sockets when it wakes, whose callers have long gone: without a last moment it would make them, and
//! nobody would hold them until their leases lapse. The moment is the server's own time, which each of its answers tells: no clock of ours goes into
//! it, only how long ago the answer was. Where the server's clock has jumped it refuses, tells its time, and is asked again.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

/// Not yet asked.
const UNKNOWN: i64 = i64::MIN;

pub(super) struct ServerClock {
    started: Instant,
    /// The server's microseconds since 1970 when this process had `started`.
    at_start: AtomicI64,
}

impl Default for ServerClock {
    fn default() -> Self {
        Self { started: Instant::now(), at_start: AtomicI64::new(UNKNOWN) }
    }
}

impl ServerClock {
    /// The server's time at an instant from now on, in microseconds; long ago where the server was never heard of, so that it refuses once.
    pub(super) fn at(&self, instant: Instant) -> i64 {
        match self.at_start.load(Ordering::Relaxed) {
            UNKNOWN => UNKNOWN,
            at_start => at_start.saturating_add(micros(instant.saturating_duration_since(self.started))),
        }
    }

    /// Notes the time that an answer told which arrived then: the server's time is taken for a little too early rather than too late, by as long as
    /// the answer was under way. Where that was long, the next claim may be refused, and is asked for again.
    pub(super) fn heard(&self, arrived: Instant, clock: i64) {
        let at_start = clock.saturating_sub(micros(arrived.saturating_duration_since(self.started)));
        self.at_start.store(at_start, Ordering::Relaxed);
    }
}

/// In microseconds, and at most a hundred years: PostgreSQL's timestamps end some day, and Redis's scripts count in doubles, which hold microseconds since 1970
/// exactly until 2255.
pub(super) fn micros(duration: Duration) -> i64 {
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
