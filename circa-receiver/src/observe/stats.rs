//! What an inbox holds of an endpoint's events, in numbers.

use std::time::Duration;

/// How many events of an endpoint an inbox holds that are not done.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Stats {
    /// Ready to run now: also those whose lease has lapsed.
    pub ready: u64,
    /// Waiting for their time: after a failure, or because their handler asked for it.
    pub waiting: u64,
    /// Leased by workers.
    pub running: u64,
    /// Dead letters.
    pub dead: u64,
    /// How long the event that has been ready for longest has been so.
    pub lag: Option<Duration>,
}
