//! What became of a delivery. For logs, metrics and the answer.

use std::fmt;

use super::rejection::Rejection;

/// What became of a delivery.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// The handler ran and succeeded. Answered 200.
    Handled,
    /// The event is durably stored and will be handled. Answered 202.
    Accepted,
    /// The event had been handled before, or by another delivery meanwhile. Answered 200.
    Duplicate,
    /// The event is authentic and not wanted: another mode, or no handler for its type. Answered
    /// 200.
    Ignored,
    /// The event can never be handled and went to the dead-letter sink. Answered 200.
    DeadLettered,
    /// The handler failed, or panicked; the event may be sent again. Answered 500.
    Failed,
    /// The handler had not ended by the ack deadline (default 10 s) and runs on. Answered 503 with
    /// `Retry-After: 30`.
    Unfinished,
    /// The delivery was refused.
    Rejected(Rejection),
}

impl Outcome {
    /// All outcomes but refusals, which are [`Rejection::ALL`].
    pub const UNREFUSED: [Self; 7] = [
        Self::Handled,
        Self::Accepted,
        Self::Duplicate,
        Self::Ignored,
        Self::DeadLettered,
        Self::Failed,
        Self::Unfinished,
    ];

    /// The outcome as one word, for metric labels: `"handled"`, `"dead-lettered"`, ...; of a
    /// refusal its [reason](Rejection::reason).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::DeadLettered => "dead-lettered",
            Self::Failed => "failed",
            Self::Unfinished => "unfinished",
            Self::Rejected(rejection) => rejection.reason(),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new outcome does not compile here before it has a place in the list.
    #[test]
    fn all_are_listed_once() {
        for (at, outcome) in Outcome::UNREFUSED.into_iter().enumerate() {
            let place = match outcome {
                Outcome::Handled => 0,
                Outcome::Accepted => 1,
                Outcome::Duplicate => 2,
                Outcome::Ignored => 3,
                Outcome::DeadLettered => 4,
                Outcome::Failed => 5,
                Outcome::Unfinished => 6,
                Outcome::Rejected(_) => unreachable!("has a list of its own"),
            };
            assert_eq!(place, at, "{outcome}");
        }
    }
}
