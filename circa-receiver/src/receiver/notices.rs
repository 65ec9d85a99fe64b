//! What is told to the observers once, and not with every delivery.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A type without a handler is told so often.
const UNHANDLED_EVERY: Duration = Duration::from_secs(3_600);

/// So many types are remembered; a sender has a dozen.
const MAX_TYPES: usize = 256;

/// What was told already.
#[derive(Default)]
pub(super) struct Notices {
    drifted: Mutex<HashSet<&'static str>>,
    unhandled: Mutex<HashMap<Box<str>, Instant>>,
}

impl Notices {
    /// Whether it was not told yet that this field drifted; it counts as told from now on.
    pub(super) fn is_drift_new(&self, field: &'static str) -> bool {
        self.drifted.lock().unwrap_or_else(PoisonError::into_inner).insert(field)
    }

    /// Whether a type without a handler is to be told: once an hour.
    pub(super) fn is_unhandled_due(&self, event_type: &str) -> bool {
        let mut told = self.unhandled.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_recent = |last: &Instant| now < *last + UNHANDLED_EVERY;
        if told.get(event_type).is_some_and(is_recent) {
            return false;
        }
        if told.len() == MAX_TYPES {
            told.retain(|_, last| is_recent(last));
        }
        let has_room = told.len() < MAX_TYPES;
        if has_room {
            told.insert(event_type.into(), now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contract, section 5: "told at info level, once a type and hour"; within a bound.
    #[tokio::test(start_paused = true)]
    async fn a_type_is_told_once_an_hour() {
        let notices = Notices::default();
        let is_due = |number: usize| notices.is_unhandled_due(&format!("type.{number}"));
        assert!((0..MAX_TYPES).all(is_due) && !is_due(0) && !is_due(MAX_TYPES), "there is no room for one more");
        tokio::time::advance(UNHANDLED_EVERY).await;
        assert!(is_due(MAX_TYPES) && is_due(0) && !is_due(MAX_TYPES) && !is_due(0));
    }
}
