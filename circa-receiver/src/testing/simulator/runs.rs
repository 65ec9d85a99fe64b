//! What the handlers under test did, in their own words.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Records the runs of the handlers under test. Clones record into the same book.
///
/// Take a run at the start of a handler, and call [`HandlerRun::succeed`] where its effect has happened:
///
/// ```
/// # use circa_receiver::testing::HandlerRuns;
/// let runs = HandlerRuns::default();
/// let run = runs.start("evt_1");
/// // .. the handler's work ..
/// run.succeed();
/// assert_eq!(runs.succeeded("evt_1"), 1);
/// ```
#[derive(Clone, Debug, Default)]
pub struct HandlerRuns(Arc<Mutex<HashMap<String, Counts>>>);

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) started: usize,
    pub(crate) succeeded: usize,
    pub(crate) failed: usize,
    pub(crate) buried: usize,
}

impl Counts {
    /// How often the event came to an end that it must come to once.
    pub(crate) fn settled(self) -> usize {
        self.succeeded + self.buried
    }
}

impl HandlerRuns {
    /// A handler starts on the event of this id. Where one event goes to several endpoints, make the endpoint's name part of it, as
    /// [`CircaSimulator::endpoint`](super::CircaSimulator::endpoint) says.
    pub fn start(&self, event_id: &str) -> HandlerRun {
        self.with(event_id, |counts| counts.started += 1);
        HandlerRun { runs: self.clone(), event_id: event_id.to_owned() }
    }

    /// How often a handler has started on it.
    pub fn started(&self, event_id: &str) -> usize {
        self.counts(event_id).started
    }

    /// How often its effect has happened.
    pub fn succeeded(&self, event_id: &str) -> usize {
        self.counts(event_id).succeeded
    }

    pub(crate) fn counts(&self, event_id: &str) -> Counts {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(event_id).copied().unwrap_or_default()
    }

    fn with(&self, event_id: &str, change: impl FnOnce(&mut Counts)) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(runs.entry(event_id.to_owned()).or_default());
    }
}

/// One run of a handler. Dropped without [`HandlerRun::succeed`], [`HandlerRun::fail`] or [`HandlerRun::bury`], it was cut off half-way.
#[derive(Debug)]
#[must_use]
pub struct HandlerRun {
    runs: HandlerRuns,
    event_id: String,
}

impl HandlerRun {
    /// The handler's effect has happened.
    pub fn succeed(self) {
        self.runs.with(&self.event_id, |counts| counts.succeeded += 1);
    }

    /// The handler says that the event can never be handled: it is for the dead-letter sink, and so not lost.
    pub fn bury(self) {
        self.runs.with(&self.event_id, |counts| counts.buried += 1);
    }

    /// The handler gives up without an effect, and will say so.
    pub fn fail(self) {
        self.runs.with(&self.event_id, |counts| counts.failed += 1);
    }
}
