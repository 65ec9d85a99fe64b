//! What a settlement changes in its row.

use std::time::Duration;

use super::statements::text;
use crate::inbox::control::State;
use crate::inbox::settlement::Settlement;

/// What a settlement changes.
pub(super) struct End {
    pub(super) state: i16,
    pub(super) after: Duration,
    pub(super) set_back: i32,
    pub(super) postponed: i32,
    pub(super) cause: Option<i16>,
    pub(super) error: Option<String>,
    pub(super) drops_body: bool,
}

impl End {
    pub(super) fn of(settlement: Settlement) -> Self {
        let end = Self {
            state: State::Ready.code(),
            after: Duration::ZERO,
            set_back: 0,
            postponed: 0,
            cause: None,
            error: None,
            drops_body: false,
        };
        match settlement {
            Settlement::Complete { retention } => Self { state: State::Done.code(), after: retention, ..end },
            Settlement::CompleteWithoutBody { retention } => {
                Self { state: State::Done.code(), after: retention, drops_body: true, ..end }
            }
            Settlement::Retry { after, error } => Self { after, error: Some(text(&error)), ..end },
            Settlement::Postpone { after, error } => {
                Self { after, set_back: 1, postponed: 1, error: Some(text(&error)), ..end }
            }
            Settlement::GiveBack => Self { set_back: 1, ..end },
            Settlement::Bury { cause, error } => {
                Self { state: State::Dead.code(), cause: Some(cause.code()), error: Some(text(&error)), ..end }
            }
        }
    }
}
