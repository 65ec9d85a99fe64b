//! How the events of one type are run where that differs from the worker's other events.

use std::time::Duration;

use super::backoff::Backoff;

/// How the events of one type are run, where that differs from the worker's other events. What is
/// not set is as the worker's.
///
/// ```
/// # use std::time::Duration;
/// # use circa_receiver::inbox::RunPolicy;
/// // An interface that takes two calls at once, and is away for an afternoon now and then.
/// let policy = RunPolicy::new().concurrency(2).backoff(Duration::from_secs(60), Duration::from_secs(6 * 3_600));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "give it to `WorkerBuilder::policy_of`"]
pub struct RunPolicy {
    pub(super) concurrency: Option<usize>,
    handler_timeout: Option<Duration>,
    max_attempts: Option<u32>,
    backoff: Option<Backoff>,
}

/// What holds for the runs of one type, or of all others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) handler_timeout: Duration,
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
}

impl RunPolicy {
    /// As the worker's other events.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many of the type's handlers run at once in this worker, of each endpoint; with all
    /// others together no more than the worker's. What is beyond it stays in the inbox, and does
    /// not keep events of other types waiting.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = Some(handlers);
        self
    }

    /// How long the type's handler may run.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.handler_timeout = Some(timeout);
        self
    }

    /// How many attempts an event of the type has before it is dead.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// How long a failed event of the type waits, as
    /// [`WorkerBuilder::backoff`](super::WorkerBuilder::backoff).
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff = Some(Backoff { first, most });
        self
    }

    /// What lets nothing through.
    pub(super) fn zero(&self) -> Option<&'static str> {
        let zero = [
            ("the number of handlers of a type that run at once", self.concurrency == Some(0)),
            ("the number of attempts of a type", self.max_attempts == Some(0)),
            ("the time limit of a type's handler", self.handler_timeout.is_some_and(|timeout| timeout.is_zero())),
        ];
        zero.into_iter().find(|(_, is_zero)| *is_zero).map(|(what, _)| what)
    }

    /// What holds where these hold for all others.
    pub(super) fn over(&self, others: Limits) -> Limits {
        Limits {
            handler_timeout: self.handler_timeout.unwrap_or(others.handler_timeout),
            max_attempts: self.max_attempts.unwrap_or(others.max_attempts),
            backoff: self.backoff.unwrap_or(others.backoff),
        }
    }
}
