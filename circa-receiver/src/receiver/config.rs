//! What the settings choose between, and why a receiver is not built.

use std::{fmt, str::FromStr};

use crate::verify::SecretError;
use crate::verify::ToleranceError;

/// Which of Circa's events are wanted, by `livemode`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Mode {
    /// All events, also those without `livemode`.
    #[default]
    Any,
    /// Only `livemode: true`; `webhook.test` is ignored. Without `livemode` an event is refused.
    Live,
    /// Only `livemode: false`. Without `livemode` an event is refused.
    Test,
}

impl Mode {
    /// The mode's name: `"any"`, `"live"` or `"test"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Live => "live",
            Self::Test => "test",
        }
    }

    pub(crate) fn wants(self, livemode: Option<bool>) -> bool {
        match self {
            Self::Any => true,
            Self::Live => livemode == Some(true),
            Self::Test => livemode == Some(false),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = UnknownMode;

    /// A mode by its [name](Mode::as_str).
    fn from_str(name: &str) -> Result<Self, UnknownMode> {
        [Self::Any, Self::Live, Self::Test].into_iter().find(|mode| mode.as_str() == name).ok_or(UnknownMode)
    }
}

/// No mode has this name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no mode has this name: it is \"any\", \"live\" or \"test\"")]
pub struct UnknownMode;

/// What happens to an event when the dedup store fails or does not answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StoreFailure {
    /// Answered 503: the sender sends it again.
    #[default]
    Refuse,
    /// The handler runs without a claim: an event may be handled more than once.
    RunWithoutDedup,
}

/// Why a receiver was not built. Says what to do.
///
/// `Debug` says the same as `Display`: it is what a `main` prints that returns this error.
#[non_exhaustive]
#[derive(Clone, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A secret was refused.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The tolerance was refused.
    #[error(transparent)]
    Tolerance(#[from] ToleranceError),
    /// A tolerance for a sender that signs no time.
    #[error("Circularo signs no time, so a tolerance has no meaning: use `max_event_age`")]
    NoSignedTime,
    /// A mode for a sender that has none.
    #[error("Circularo's events have no `livemode`, so only `Mode::Any` has a meaning")]
    NoLivemode,
    /// A maximal event age for a sender that signs its time.
    #[error(
        "Circa signs the time of every attempt, and retries old events for 31 h: use `tolerance` instead of `max_event_age`"
    )]
    SignedTime,
    /// The ack deadline is too long.
    #[error("the ack deadline must be shorter than 15 s, when the sender gives up")]
    AckDeadline,
    /// The lease is too short.
    #[error(
        "the lease must be longer than the ack deadline, or a second run starts while the first may still be answered"
    )]
    Lease,
    /// The lease is not well above the store timeout.
    #[error(
        "the lease must be at least three times the store timeout: it is renewed at a third, and a renewal may take as long as the timeout"
    )]
    LeaseBelowStoreTimeout,
    /// An inbox and a dedup store.
    #[error("the inbox remembers what was handled, also over the same database as a dedup store: remove `dedup`")]
    InboxAndDedup,
    /// An inbox and a dead-letter sink.
    #[error("the inbox keeps the dead letters: remove `dead_letters`")]
    InboxAndDeadLetters,
    /// An inbox, and events run without it where it fails.
    #[error("what the inbox cannot store is not run: remove `on_store_failure`")]
    InboxIsNeeded,
    /// Deliveries wait for the runs of an inbox that is not there.
    #[error("without an inbox each delivery waits for its handler: add `inbox`, or remove `answer_when_handled`")]
    NoInbox,
    /// A limit that lets nothing through.
    #[error("{0} must be greater than zero")]
    Zero(&'static str),
    /// Two receivers of a group have one name.
    #[error(
        "two receivers have the endpoint name {0:?}, by which dedup keys, logs and `Receivers::get` tell them apart: set `endpoint` on one of them"
    )]
    SameEndpoint(String),
    /// The endpoint name is empty.
    #[error("the endpoint name must not be empty")]
    Endpoint,
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
