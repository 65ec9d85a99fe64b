//! What happened in a simulation, in order: calls of the store, runs of handlers, ends of
//! processes.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use circa_receiver::testing::StoreCall;
use tokio::time::Instant;

/// Clones write into the same journal.
#[derive(Clone)]
pub(super) struct Journal {
    started: Instant,
    lines: Arc<Mutex<Vec<Line>>>,
}

/// One thing that happened.
#[derive(Clone)]
pub(super) struct Line {
    /// Since the simulation began.
    pub(super) at: Duration,
    pub(super) process: usize,
    pub(super) what: What,
}

#[derive(Clone)]
pub(super) enum What {
    Call(StoreCall),
    /// A handler, with the event's id.
    Started(String),
    Succeeded(String),
    Failed(String),
    /// A process.
    Begins,
    ShutsDown,
    Ended,
}

impl Line {
    /// The event that it is about; `None` where it is about a whole process.
    pub(super) fn event(&self) -> Option<&str> {
        match &self.what {
            What::Call(call) => Some(call.event_id()),
            What::Started(event) | What::Succeeded(event) | What::Failed(event) => Some(event),
            What::Begins | What::ShutsDown | What::Ended => None,
        }
    }
}

impl Journal {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), lines: Arc::default() }
    }

    pub(super) fn note(&self, process: usize, what: What) {
        self.lines.lock().unwrap().push(Line { at: self.started.elapsed(), process, what });
    }

    pub(super) fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap().clone()
    }

    /// What concerns an event: its own lines, and those of the processes that it met.
    pub(super) fn story(&self, event: &str) -> String {
        let lines = self.lines();
        let processes: Vec<usize> =
            lines.iter().filter(|line| line.event() == Some(event)).map(|line| line.process).collect();
        let concerns = |line: &&Line| line.event().map_or(processes.contains(&line.process), |other| other == event);
        lines.iter().filter(concerns).map(|line| format!("{line}\n")).collect()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.3}  process {}  ", self.at.as_secs_f64(), self.process)?;
        match &self.what {
            What::Call(call) => call.fmt(f),
            What::Started(event) => write!(f, "handler of {event} starts"),
            What::Succeeded(event) => write!(f, "handler of {event} succeeds"),
            What::Failed(event) => write!(f, "handler of {event} fails"),
            What::Begins => f.write_str("begins"),
            What::ShutsDown => f.write_str("shuts down"),
            What::Ended => f.write_str("has ended"),
        }
    }
}
