//! How a table writes states, causes and pauses, the same in every engine.
//!
//! The statements of both engines have the numbers of states too: "ready or running", which their
//! indexes cover, is `state < 2`. No number may ever mean something else.

use super::control::{Pause, State};
use super::settlement::Cause;

impl State {
    pub(super) fn code(self) -> i16 {
        match self {
            Self::Ready => 0,
            Self::Running => 1,
            Self::Done => 2,
            Self::Dead => 3,
            Self::Discarded => 4,
        }
    }

    pub(super) fn of_code(code: i16) -> Self {
        match code {
            0 => Self::Ready,
            1 => Self::Running,
            2 => Self::Done,
            3 => Self::Dead,
            _ => Self::Discarded,
        }
    }
}

impl Cause {
    pub(super) fn code(self) -> i16 {
        match self {
            Self::Permanent => 0,
            Self::Attempts => 1,
            Self::Unreadable => 2,
        }
    }

    pub(super) fn of_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }
}

impl Pause {
    /// A pause of all types has the empty type.
    pub(super) fn stored(endpoint: &str, event_type: &str) -> Self {
        Self::new(endpoint, Some(event_type).filter(|event_type| !event_type.is_empty()))
    }

    pub(super) fn stored_type(&self) -> &str {
        self.event_type().unwrap_or_default()
    }
}
