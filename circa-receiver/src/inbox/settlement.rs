//! Settling: how a run ended, and what becomes of its event.

use std::{fmt, time::Duration};

/// How a run ended, and what becomes of its event. Errors are at most a kilobyte of text.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Settlement {
    /// The handler succeeded. The event is remembered for the retention.
    Complete {
        /// For how long.
        retention: Duration,
    },
    /// As [`Settlement::Complete`], and the body is dropped at once.
    CompleteWithoutBody {
        /// For how long the event is remembered.
        retention: Duration,
    },
    /// The handler failed. The event is ready again after the backoff.
    Retry {
        /// The backoff.
        after: Duration,
        /// Why it failed.
        error: String,
    },
    /// The handler asked to be called later, which uses up no attempt.
    Postpone {
        /// How much later.
        after: Duration,
        /// Why.
        error: String,
    },
    /// The run did not begin, or was stopped with its worker. The event is ready at once; no
    /// attempt is used up.
    GiveBack,
    /// The event can never be handled, or not be handled by this many attempts. It is dead.
    Bury {
        /// Why it is dead.
        cause: Cause,
        /// The error of the last attempt.
        error: String,
    },
}

impl Settlement {
    /// Of a run that succeeded.
    pub(super) fn complete(retention: Duration, drops_body: bool) -> Self {
        if drops_body { Self::CompleteWithoutBody { retention } } else { Self::Complete { retention } }
    }

    /// How the run ended, and the class of its error, as words for a span.
    pub(super) fn outcome(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Complete { .. } | Self::CompleteWithoutBody { .. } => ("handled", None),
            Self::Retry { .. } => ("retried", Some("retryable")),
            Self::Postpone { .. } => ("postponed", Some("retryable")),
            Self::GiveBack => ("given-back", None),
            Self::Bury { cause, .. } => ("dead-lettered", Some(cause.as_str())),
        }
    }

    /// After how long the event is run again because its handler did not succeed.
    pub(super) fn again_after(&self) -> Option<Duration> {
        match self {
            Self::Retry { after, .. } | Self::Postpone { after, .. } => Some(*after),
            Self::Complete { .. } | Self::CompleteWithoutBody { .. } | Self::GiveBack | Self::Bury { .. } => None,
        }
    }
}

/// Why an event is dead.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cause {
    /// Its handler said that it can never succeed, or its data is not of its type.
    Permanent,
    /// Its attempts are used up.
    Attempts,
    /// Its envelope cannot be understood.
    Unreadable,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 3] = [Self::Permanent, Self::Attempts, Self::Unreadable];

    /// The cause as one word: `"permanent"`, `"attempts"` or `"unreadable"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permanent => "permanent",
            Self::Attempts => "attempts",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
