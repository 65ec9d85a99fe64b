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
        if let Some(last) = told.get_mut(event_type) {
            let is_due = now >= *last + UNHANDLED_EVERY;
            if is_due {
                *last = now;
            }
            return is_due;
        }
        told.len() < MAX_TYPES && told.insert(event_type.into(), now).is_none()
    }
}
