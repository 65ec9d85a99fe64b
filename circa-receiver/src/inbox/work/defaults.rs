//! All defaults of a worker, once, each with its reason.

use std::time::Duration;

use crate::run::Pauses;

/// Enough to keep a few slow interfaces busy, and few enough for a small pool of database
/// connections.
pub(super) const CONCURRENCY: usize = 16;
/// Renewed at a third: renewals may fail for 40 s before another worker takes over.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// Circa's retries span 31 h 12 m 30 s (Circa documentation, Webhooks); 72 h cover them twice, and
/// a weekend.
pub(super) const RETENTION: Duration = Duration::from_secs(72 * 3_600);
/// A handler that runs longer is taken to hang: no interface answers that late.
pub(super) const HANDLER_TIMEOUT: Duration = Duration::from_secs(600);
/// With the backoff about six hours on average, and 11.5 at most: a night.
pub(super) const MAX_ATTEMPTS: u32 = 20;
/// The first failure is followed by 0 to 10 s: a restart of what the handler calls.
pub(super) const BACKOFF: Duration = Duration::from_secs(5);
/// What is away for longer is asked once an hour.
pub(super) const MAX_BACKOFF: Duration = Duration::from_secs(3_600);
/// How often a handler may ask to be called later without using up an attempt.
pub(super) const MAX_POSTPONEMENTS: u32 = 100;
/// Five times a bad day of an engine in the same network.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Below the 30 s that orchestrators wait between SIGTERM and SIGKILL by default, with room for a
/// hard end.
pub(super) const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// How often an idle worker looks for what other processes have accepted: half of 300 ms is left
/// for the way.
pub(super) const POLL: Duration = Duration::from_millis(200);
/// How often observers get what the inbox holds: as often as the Prometheus of the examples asks.
pub(super) const MEASURE_EVERY: Duration = Duration::from_secs(15);
/// How often dead letters are removed whose retention has ended, which is one of days.
pub(super) const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// The pauses of a worker while the engine is away.
pub(super) const AWAY_PAUSES: Pauses = Pauses::new(Duration::from_millis(50), Duration::from_secs(5));
/// What longer durations are cut to, so that no deadline overflows.
pub(super) const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);
