//! The metrics of one endpoint's events in an inbox. All are made when a worker for them is built.

use metrics::{Counter, Gauge, SharedString, counter, gauge};

use super::names;
use crate::observe::stats::Stats;

/// All handles of one endpoint's events in an inbox.
pub(super) struct InboxMetrics {
    ready: Gauge,
    waiting: Gauge,
    running: Gauge,
    dead: Gauge,
    oldest_age: Gauge,
    pub(super) retries: Counter,
    pub(super) given_back: Counter,
    pub(super) worker_healthy: Gauge,
}

impl InboxMetrics {
    pub(super) fn new(name: &SharedString) -> Self {
        let endpoint = || name.clone();
        let worker_healthy = gauge!(names::INBOX_WORKER_HEALTHY, "endpoint" => endpoint());
        // Healthy until a call fails.
        worker_healthy.set(1.0);
        Self {
            ready: gauge!(names::INBOX_READY, "endpoint" => endpoint()),
            waiting: gauge!(names::INBOX_WAITING, "endpoint" => endpoint()),
            running: gauge!(names::INBOX_RUNNING, "endpoint" => endpoint()),
            dead: gauge!(names::INBOX_DEAD, "endpoint" => endpoint()),
            oldest_age: gauge!(names::INBOX_OLDEST_AGE, "endpoint" => endpoint()),
            retries: counter!(names::INBOX_RETRIES, "endpoint" => endpoint()),
            given_back: counter!(names::INBOX_GIVEN_BACK, "endpoint" => endpoint()),
            worker_healthy,
        }
    }

    pub(super) fn measured(&self, stats: &Stats) {
        let counts = [
            (&self.ready, stats.ready),
            (&self.waiting, stats.waiting),
            (&self.running, stats.running),
            (&self.dead, stats.dead),
        ];
        for (gauge, count) in counts {
            gauge.set(count as f64);
        }
        self.oldest_age.set(stats.lag.unwrap_or_default().as_secs_f64());
    }
}
