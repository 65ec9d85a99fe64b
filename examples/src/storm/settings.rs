//! The settings of a storm, each with its reason.

use std::time::Duration;

pub(super) const CIRCA_SECRET: &str = "whsec_of_a_storm_0123456789abcdef";
pub(super) const CIRCULARO_SECRET: &str = "hmac_of_a_storm_0123456789abcdef";

/// 20,000 events take five minutes.
pub(super) const EVENTS_PER_SECOND: usize = 70;
/// What Circa's schedule is divided by: of 31 h 12 m 30 s remain 37 s, the last two waits being 7.2
/// and 28.8 s. What is away for longer would outlast the sender, which proves nothing.
pub(super) const SCHEDULE_DIVISOR: u32 = 3_000;
/// In a storm of less than [`SHORT`], whose faults take less time together: 11 s remain. Each
/// attempt that waits for a store adds 3 s.
pub(super) const SHORT_SCHEDULE_DIVISOR: u32 = 10_000;
pub(super) const SHORT: Duration = Duration::from_secs(10);

/// Short, so that a storm can wait until it has lapsed, and above the ack deadline.
pub(super) const LEASE: Duration = Duration::from_secs(7);
/// A store that is away is given up 2 s before: most of its faults take less than the rest.
pub(super) const ACK_DEADLINE: Duration = Duration::from_secs(5);
/// At most a third of the lease.
pub(super) const STORE_TIMEOUT: Duration = Duration::from_millis(1_500);
/// Below what some handlers take: SIGTERM drops them.
pub(super) const DRAIN_DEADLINE: Duration = Duration::from_secs(2);
/// Handlers that run at once in a worker. The longest ones must not leave the short ones waiting.
pub(super) const CONCURRENCY: usize = 64;
/// The backoff of a worker: first and longest.
pub(super) const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// A process that has not ended so long after SIGTERM hangs: its drain deadline and 3 s have
/// passed, and a loaded machine has had its time.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(15);
/// Faults begin in this part of the time in which events are sent; what they leave is seen in the
/// rest.
pub(super) const FAULTS_UNTIL: f64 = 0.85;
/// Within this time after the faults everything has to come to its end: the sender's longest
/// retries, and leases that lapse.
pub(super) const QUIET_WITHIN: Duration = Duration::from_secs(60);

/// After so long without renewals a lease may have lapsed: it is renewed at a third, and a renewal
/// that fails takes the store timeout until it is noticed.
pub(super) const MAY_LAPSE_AFTER: Duration = Duration::from_secs(3);
/// The mark that an event is done is made within one call of the store, unless that stands still.
pub(super) const MARKED_WITHIN: Duration = STORE_TIMEOUT;
