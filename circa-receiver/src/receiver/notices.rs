//! What is told to the observers once, and not with every delivery.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::event::{AnyEvent, Drift};

/// A type without a handler is told so often.
const UNHANDLED_EVERY: Duration = Duration::from_secs(3_600);

/// So many types are remembered; a sender has a dozen.
const MAX_TYPES: usize = 256;

/// What was told already.
#[derive(Default)]
pub(super) struct Notices {
    drifted: AtomicU8,
    unhandled: Mutex<HashMap<Box<str>, Instant>>,
}

impl Notices {
    /// The fields of an event that drifted and were not told yet.
    pub(super) fn drifted(&self, event: &AnyEvent) -> Drift {
        let drift = event.drift();
        // Nearly all events have drifted in nothing.
        if drift == Drift::default() {
            return drift;
        }
        drift.without(self.drifted.fetch_or(drift.bits(), Ordering::Relaxed))
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
