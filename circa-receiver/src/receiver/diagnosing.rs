//! Which mismatches are diagnosed: at most one a minute and receiver, off the accept path. The answer never waits for it.

use std::{
    sync::{Mutex, PoisonError, RwLock},
    time::Duration,
};

use tokio::time::Instant;

use crate::observe::{Diagnosis, Mismatch, Origin};
use crate::sender::Sender;
use crate::verify::Secrets;

/// A flood of forged deliveries must not keep a thread busy, or fill the log.
const EVERY: Duration = Duration::from_secs(60);

/// So many sets of replaced secrets are remembered.
const MAX_RETIRED: usize = 4;

/// What mismatches are diagnosed with. Only a receiver that somebody observes has one.
pub(super) struct Diagnosing {
    sender: Sender,
    known: RwLock<Known>,
    last: Mutex<Option<Instant>>,
}

struct Known {
    current: Secrets,
    others: Vec<(Origin, Secrets)>,
}

impl Diagnosing {
    pub(super) fn new(sender: Sender, current: Secrets, others: Vec<(Origin, Secrets)>) -> Self {
        Self { sender, known: RwLock::new(Known { current, others }), last: Mutex::default() }
    }

    /// Takes new secrets, and remembers the old ones as retired.
    pub(super) fn replace_secrets(&self, secrets: &Secrets) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let retired = std::mem::replace(&mut known.current, secrets.clone());
        let is_retired = |(origin, _): &(Origin, Secrets)| *origin == Origin::Retired;
        if known.others.iter().filter(|other| is_retired(other)).count() == MAX_RETIRED {
            let oldest = known.others.iter().position(is_retired);
            oldest.map(|oldest| known.others.remove(oldest));
        }
        known.others.push((Origin::Retired, retired));
    }

    /// Whether the next mismatch is to be diagnosed; it is taken to be.
    pub(super) fn is_due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = last.is_none_or(|last| now >= last + EVERY);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    pub(super) fn diagnose(&self, signature: &[u8], body: &[u8]) -> Option<Diagnosis> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mismatch = Mismatch::new(self.sender, signature, body, &known.current).ok()?;
        let others = known.others.iter();
        Some(others.fold(mismatch, |mismatch, (origin, secrets)| mismatch.other(*origin, secrets)).diagnose())
    }
}
