//! What came of a simulation, event by event; the assertions that a receiver's tests make on it.

use std::{fmt, fmt::Write, time::Duration};

use super::{HandlerRuns, faults::Fault, runs::Counts};

/// What came of every event, and of every endpoint.
#[derive(Debug)]
#[must_use]
pub struct Ledger {
    pub(super) seed: u64,
    pub(super) repetition: Repetition,
    pub(super) runs: HandlerRuns,
    pub(super) rows: Vec<Row>,
    /// The endpoints that have a name: their runs are not those of the endpoint without one.
    pub(super) named: Vec<String>,
    /// The paths of the endpoints that were disabled.
    pub(super) disabled: Vec<String>,
}

/// What the seed repeats.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Repetition {
    /// Everything: time is paused.
    Story,
    /// What was drawn, but not what came first: time is real.
    Faults,
    /// When the events were sent.
    Spread,
    /// There is none: nothing is drawn.
    Nothing,
}

/// One event at one endpoint.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) path: String,
    /// Under which the handlers record it.
    pub(super) run_id: String,
    pub(super) attempts: Vec<Attempt>,
    pub(super) end: End,
}

/// How the sender's efforts ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Delivered,
    Dropped,
    Disabled,
}

#[derive(Debug)]
pub(super) struct Attempt {
    /// Since the simulation began.
    pub(super) at: Duration,
    pub(super) fault: Option<Fault>,
    pub(super) answer: String,
}

impl Ledger {
    /// The seed that repeats this simulation; where the schedule was divided, its faults alone.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many deliveries of the event were attempted, at all endpoints.
    pub fn attempts(&self, event_id: &str) -> usize {
        self.rows_of(event_id).map(|row| row.attempts.len()).sum()
    }

    /// When the deliveries of the event were attempted, since the simulation began.
    pub fn attempted_at(&self, event_id: &str) -> Vec<Duration> {
        self.rows_of(event_id).flat_map(|row| row.attempts.iter().map(|attempt| attempt.at)).collect()
    }

    /// When deliveries of the event were attempted with which the sender and the network did
    /// nothing wrong, since the simulation began.
    pub fn attempted_without_fault_at(&self, event_id: &str) -> Vec<Duration> {
        let attempts = self.rows_of(event_id).flat_map(|row| &row.attempts);
        attempts.filter(|attempt| attempt.fault.is_none()).map(|attempt| attempt.at).collect()
    }

    /// The ids of the events, as handlers record them.
    pub fn events(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| row.run_id.as_str())
    }

    /// The history of the event, as failed assertions print it.
    pub fn history(&self, event_id: &str) -> String {
        self.rows_of(event_id).map(|row| self.history_of(row)).collect::<Vec<_>>().join("\n")
    }

    /// Whether a delivery of the event was answered 2xx, and the sender took it as received.
    pub fn was_delivered(&self, event_id: &str) -> bool {
        self.rows_of(event_id).any(|row| row.end == End::Delivered)
    }

    /// Whether the sender gave up on the event after its last attempt.
    pub fn was_dropped(&self, event_id: &str) -> bool {
        self.rows_of(event_id).any(|row| row.end == End::Dropped)
    }

    /// Whether an endpoint was disabled.
    pub fn was_disabled(&self) -> bool {
        !self.disabled.is_empty()
    }

    /// The effect of every event has happened, or its handler has buried it.
    ///
    /// # Panics
    ///
    /// With the history of an event that was lost, and the seed.
    #[track_caller]
    pub fn assert_nothing_lost(&self) {
        self.assert("was lost", |row| self.counts(row).settled() > 0);
    }

    /// The effect of every event that was answered 2xx has happened, or its handler has buried it:
    /// what holds where the sender gives up on others, because it retries nothing or everything was
    /// refused. With an inbox let its worker run first what it has accepted.
    ///
    /// # Panics
    ///
    /// With the history of an event that was lost, and the seed.
    #[track_caller]
    pub fn assert_nothing_acknowledged_lost(&self) {
        let is_kept = |row: &Row| row.end != End::Delivered || self.counts(row).settled() > 0;
        self.assert("was answered 2xx and lost", is_kept);
    }

    /// The effect of no event has happened twice, nor was one buried twice.
    ///
    /// # Panics
    ///
    /// With the history of an event that was handled twice, and the seed.
    #[track_caller]
    pub fn assert_once(&self) {
        self.assert("was handled more than once", |row| self.counts(row).settled() <= 1);
    }

    /// No handler was cut off half-way, by a sender that hung up or by its own panic.
    ///
    /// # Panics
    ///
    /// With the history of an event whose handler was dropped before it succeeded or failed, and
    /// the seed.
    #[track_caller]
    pub fn assert_nothing_cut_off(&self) {
        self.assert("had its handler cut off half-way", |row| {
            let counts = self.counts(row);
            counts.started == counts.settled() + counts.failed
        });
    }

    /// No endpoint was disabled.
    ///
    /// # Panics
    ///
    /// With the history of the last event that failed, and the seed.
    #[track_caller]
    pub fn assert_enabled(&self) {
        if let Some(path) = self.disabled.first() {
            let last = self.rows.iter().rfind(|row| row.path == *path && row.end != End::Delivered);
            let history = last.map(|row| self.history_of(row)).unwrap_or_default();
            panic!("the endpoint {path} was disabled after too many failures in a row\n{history}");
        }
    }

    #[track_caller]
    fn assert(&self, what_went_wrong: &str, holds: impl Fn(&Row) -> bool) {
        if let Some(row) = self.rows.iter().find(|row| !holds(row)) {
            let others = self.rows.iter().filter(|row| !holds(row)).count() - 1;
            panic!("the event {} {what_went_wrong} (and {others} more)\n{}", row.run_id, self.history_of(row));
        }
    }

    fn rows_of(&self, event_id: &str) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.run_id == event_id || row.run_id.ends_with(&format!(" {event_id}")))
    }

    fn counts(&self, row: &Row) -> Counts {
        self.runs.counts(&row.run_id, &self.named)
    }

    fn history_of(&self, row: &Row) -> String {
        let counts = self.counts(row);
        let mut table = format!("{:>12}  {:<16}  answer\n", "after", "fault");
        for attempt in &row.attempts {
            let fault = attempt.fault.map_or("-", Fault::name);
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{:>12}  {fault:<16}  {}", Seconds(attempt.at).to_string(), attempt.answer);
        }
        let end = match row.end {
            End::Delivered => "delivered",
            End::Dropped => "dropped by the sender",
            End::Disabled => "not sent any more: the endpoint was disabled",
        };
        let repeat = match self.repetition {
            Repetition::Story => format!("\nrepeat with .seed({:#x})", self.seed),
            Repetition::Faults => format!(
                "\n.seed({:#x}) repeats the faults, but not the order of events: the schedule was divided, in real time",
                self.seed
            ),
            Repetition::Spread => format!("\nrepeat with this seed of .spread(..): {:#x}", self.seed),
            Repetition::Nothing => String::new(),
        };
        format!(
            "{table}{end}; handler runs: {} started, {} succeeded, {} failed, {} buried{repeat}",
            counts.started, counts.succeeded, counts.failed, counts.buried
        )
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        write!(f, "{}:{:02}:{:02}.{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, self.0.subsec_millis())
    }
}
