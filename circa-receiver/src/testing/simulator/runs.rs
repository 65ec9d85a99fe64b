//! What the handlers under test did, in their own words or in the receiver's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::event::Delivery;
use crate::handler::HandlerError;
use crate::observe::Observer;

/// Records the runs of the handlers under test. Clones record into the same book.
///
/// As an observer, `.observer(runs.clone())`, it records what the receiver tells, and the
/// application under test stays as it is:
///
/// ```
/// # use circa_receiver::{Receiver, Secret, testing::HandlerRuns};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = Secret::new("whsec_test_0123456789abcdef")?;
/// let runs = HandlerRuns::default();
/// let receiver = Receiver::circa(secret).observer(runs.clone()).build()?;
/// assert_eq!(runs.succeeded("evt_1"), 0);
/// # Ok(())
/// # }
/// ```
///
/// It gets how a run has ended. To see a run that was cut off half-way, or to know that an
/// effect has happened and not only that the handler said so, record in the handler instead: take a
/// run at its start, and call [`HandlerRun::succeed`] where its effect has happened. Do one or the
/// other, or everything counts twice.
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
pub struct HandlerRuns(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// By the name under which a handler recorded it.
    recorded: HashMap<String, Counts>,
    /// By endpoint and event id.
    observed: HashMap<(String, String), Counts>,
}

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

    fn and(self, other: Self) -> Self {
        Self {
            started: self.started + other.started,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            buried: self.buried + other.buried,
        }
    }
}

impl HandlerRuns {
    /// A handler starts on the event of this id. Where one event goes to several endpoints, make
    /// the endpoint's name part of it, as
    /// [`CircaSimulator::endpoint`](super::CircaSimulator::endpoint) says.
    pub fn start(&self, event_id: &str) -> HandlerRun {
        self.record(event_id, |counts| counts.started += 1);
        HandlerRun { runs: self.clone(), event_id: event_id.to_owned() }
    }

    /// How often a handler has started on it: on an event id at all observed endpoints, on
    /// `"<endpoint> <event id>"` at one.
    pub fn started(&self, event_id: &str) -> usize {
        self.counts(event_id, &[]).started
    }

    /// How often its effect has happened.
    pub fn succeeded(&self, event_id: &str) -> usize {
        self.counts(event_id, &[]).succeeded
    }

    /// What is known of a run by its name; a bare event id leaves these endpoints out.
    pub(crate) fn counts(&self, run: &str, apart: &[String]) -> Counts {
        let book = self.book();
        let observed = book.observed.iter().filter(|((endpoint, id), _)| match run.strip_suffix(id.as_str()) {
            Some("") => !apart.contains(endpoint),
            Some(before) => before.strip_suffix(' ') == Some(endpoint),
            None => false,
        });
        let recorded = book.recorded.get(run).copied().unwrap_or_default();
        observed.fold(recorded, |sum, (_, counts)| sum.and(*counts))
    }

    fn record(&self, event_id: &str, change: impl FnOnce(&mut Counts)) {
        change(self.book().recorded.entry(event_id.to_owned()).or_default());
    }

    fn observe(&self, delivery: &Delivery, change: impl FnOnce(&mut Counts)) {
        let key = (delivery.endpoint().to_owned(), delivery.event().id().to_owned());
        let mut book = self.book();
        let counts = book.observed.entry(key).or_default();
        counts.started += 1;
        change(counts);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for HandlerRuns {
    fn handled(&self, delivery: &Delivery, _: Duration) {
        self.observe(delivery, |counts| counts.succeeded += 1);
    }

    fn failed(&self, delivery: &Delivery, _: &HandlerError, _: Duration) {
        self.observe(delivery, |counts| counts.failed += 1);
    }

    fn dead_lettered(&self, delivery: &Delivery, _: &HandlerError) {
        self.observe(delivery, |counts| counts.buried += 1);
    }
}

/// One run of a handler. Dropped without [`HandlerRun::succeed`], [`HandlerRun::fail`] or
/// [`HandlerRun::bury`], it was cut off half-way.
#[derive(Debug)]
#[must_use]
pub struct HandlerRun {
    runs: HandlerRuns,
    event_id: String,
}

impl HandlerRun {
    /// The handler's effect has happened.
    pub fn succeed(self) {
        self.runs.record(&self.event_id, |counts| counts.succeeded += 1);
    }

    /// The handler says that the event can never be handled: it is for the dead-letter sink, and so
    /// not lost.
    pub fn bury(self) {
        self.runs.record(&self.event_id, |counts| counts.buried += 1);
    }

    /// The handler gives up without an effect, and will say so.
    pub fn fail(self) {
        self.runs.record(&self.event_id, |counts| counts.failed += 1);
    }
}
