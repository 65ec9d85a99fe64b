//! What observers get once, and not with every delivery.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The time between two notices of one type without a handler.
const UNHANDLED_EVERY: Duration = Duration::from_secs(3_600);

/// The most types remembered; a sender has a dozen.
const MAX_TYPES: usize = 256;

/// The notices that were given.
#[derive(Default)]
pub(super) struct Notices {
    drifted: Mutex<HashSet<&'static str>>,
    unhandled: Mutex<HashMap<Box<str>, Instant>>,
}

impl Notices {
    /// Whether this is the first notice that this field drifted.
    pub(super) fn is_drift_new(&self, field: &'static str) -> bool {
        self.drifted.lock().unwrap_or_else(PoisonError::into_inner).insert(field)
    }

    /// Whether a notice of this type without a handler is due: once an hour.
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
