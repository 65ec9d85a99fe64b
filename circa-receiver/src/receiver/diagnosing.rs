//! Which mismatches are diagnosed: at most one a minute and receiver, off the accept path. The
//! answer never waits for it.

use std::{
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::observe::{Diagnosis, Mismatch, Origin};
use crate::sender::Sender;
use crate::verify::Secrets;

/// A flood of forged deliveries must not keep a thread busy, or fill the log.
const EVERY: Duration = Duration::from_secs(60);

/// The most sets of replaced secrets that are remembered.
const MAX_RETIRED: usize = 4;

/// What mismatches are diagnosed with. Only a receiver that somebody observes has one.
pub(super) struct Diagnosing {
    sender: Sender,
    known: RwLock<Known>,
    built: Instant,
    /// When the next is due, in milliseconds after `built`.
    due: AtomicU64,
}

struct Known {
    current: Secrets,
    others: Vec<(Origin, Secrets)>,
}

impl Diagnosing {
    pub(super) fn new(sender: Sender, current: Secrets, others: Vec<(Origin, Secrets)>) -> Self {
        let known = RwLock::new(Known { current, others });
        Self { sender, known, built: Instant::now(), due: AtomicU64::new(0) }
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

    /// Whether a mismatch that arrived then is to be diagnosed; the next one is due a minute later.
    /// Without a lock and without another look at the clock: a flood of mismatches pays next to
    /// nothing.
    pub(super) fn is_due(&self, arrived: Instant) -> bool {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = millis(arrived.saturating_duration_since(self.built));
        let due = self.due.load(Ordering::Relaxed);
        let next = now.saturating_add(millis(EVERY));
        now >= due && self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    pub(super) fn diagnose(&self, signature: &[u8], body: &[u8]) -> Option<Diagnosis> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mismatch = Mismatch::new(self.sender, signature, body, &known.current).ok()?;
        let others = known.others.iter();
        Some(others.fold(mismatch, |mismatch, (origin, secrets)| mismatch.other(*origin, secrets)).diagnose())
    }
}
