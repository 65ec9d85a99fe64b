//! What operators see of an inbox, and what they do with it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::settlement::Cause;

/// Which events an operator means: those that every part covers. Without a part it covers all
/// events.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Filter {
    endpoint: Option<String>,
    event_type: Option<String>,
    state: Option<State>,
    cause: Option<Cause>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    age: Option<Duration>,
}

impl Filter {
    /// All events.
    pub fn all() -> Self {
        Self::default()
    }

    /// All dead letters.
    pub fn dead() -> Self {
        Self::all().state(State::Dead)
    }

    /// Of this endpoint.
    #[must_use]
    pub fn endpoint(mut self, name: &str) -> Self {
        self.endpoint = Some(name.to_owned());
        self
    }

    /// Of this type.
    #[must_use]
    pub fn event_type(mut self, event_type: &str) -> Self {
        self.event_type = Some(event_type.to_owned());
        self
    }

    /// In this state.
    #[must_use]
    pub fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// Dead for this cause.
    #[must_use]
    pub fn cause(mut self, cause: Cause) -> Self {
        self.cause = Some(cause);
        self
    }

    /// That arrived then or later.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> Self {
        self.since = Some(time);
        self
    }

    /// That arrived before then.
    #[must_use]
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(time);
        self
    }

    /// That arrived more than so long ago, by the inbox's clock.
    #[must_use]
    pub fn older_than(mut self, age: Duration) -> Self {
        self.age = Some(age);
        self
    }

    /// The parts, for an inbox that looks for what they cover: endpoint, type, state and cause.
    pub fn parts(&self) -> (Option<&str>, Option<&str>, Option<State>, Option<Cause>) {
        (self.endpoint.as_deref(), self.event_type.as_deref(), self.state, self.cause)
    }

    /// From when on, and until when, what it covers has arrived.
    pub fn arrival(&self) -> (Option<SystemTime>, Option<SystemTime>) {
        (self.since, self.until)
    }

    /// More than how long ago what it covers has arrived.
    pub fn age(&self) -> Option<Duration> {
        self.age
    }

    /// The same filter with a time in place of the age, for an inbox whose clock shows `now`.
    #[must_use]
    pub fn at(mut self, now: SystemTime) -> Self {
        if let Some(age) = self.age.take() {
            let until = now.checked_sub(age).unwrap_or(UNIX_EPOCH);
            self.until = Some(self.until.map_or(until, |other| other.min(until)));
        }
        self
    }

    /// Whether it covers an event. With an age it covers none, until [`Filter::at`] has made a time
    /// of it.
    pub fn covers(&self, record: &Record) -> bool {
        self.age.is_none()
            && self.endpoint.as_ref().is_none_or(|endpoint| *endpoint == record.endpoint)
            && self.event_type.as_ref().is_none_or(|event_type| *event_type == record.event_type)
            && self.state.is_none_or(|state| state == record.state)
            && self.cause.is_none_or(|cause| Some(cause) == record.cause)
            && self.since.is_none_or(|since| record.arrived >= since)
            && self.until.is_none_or(|until| record.arrived < until)
    }
}

/// Where an event stands.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// It is run when its time has come.
    Ready,
    /// A worker has leased it.
    Running,
    /// It was handled.
    Done,
    /// It is a dead letter.
    Dead,
    /// An operator put it aside. It goes when the retention has ended.
    Discarded,
}

/// What an inbox knows of one event, without its body.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// The number by which the inbox knows it: rises with the order of arrival.
    pub id: u64,
    /// The endpoint.
    pub endpoint: String,
    /// The event's id.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// Where it stands.
    pub state: State,
    /// When it was accepted.
    pub arrived: SystemTime,
    /// How many attempts it has used up.
    pub attempts: u32,
    /// How often it was postponed.
    pub postponed: u32,
    /// The worker that leased it last.
    pub worker: Option<String>,
    /// Why it is dead.
    pub cause: Option<Cause>,
    /// The error of its last attempt that failed.
    pub error: Option<String>,
}

impl Record {
    /// An event that has just arrived.
    pub fn new(id: u64, endpoint: &str, event_id: &str, event_type: &str, arrived: SystemTime) -> Self {
        let (endpoint, event_id, event_type) = (endpoint.to_owned(), event_id.to_owned(), event_type.to_owned());
        let (state, attempts, postponed) = (State::Ready, 0, 0);
        let (worker, cause, error) = (None, None, None);
        Self { id, endpoint, event_id, event_type, state, arrived, attempts, postponed, worker, cause, error }
    }
}

/// An attempt that failed.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// The number of the attempt.
    pub attempt: u32,
    /// The worker that ran it.
    pub worker: Option<String>,
    /// Why it failed.
    pub error: String,
}

impl Failure {
    /// An attempt that failed.
    pub fn new(attempt: u32, worker: Option<String>, error: String) -> Self {
        Self { attempt, worker, error }
    }
}

/// What an operator does with events. What is in another state than named is left alone.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// Has dead letters run again, with all their attempts.
    Replay,
    /// Puts dead letters and done events aside, until the retention has ended.
    Discard {
        /// For how long they can be restored.
        retention: Duration,
    },
    /// Brings back what was discarded, as a dead letter.
    Restore,
}

/// Events that are accepted and not run.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Pause {
    endpoint: String,
    event_type: Option<String>,
}

impl Pause {
    /// A pause of an endpoint, or of one type of its events.
    pub fn new(endpoint: &str, event_type: Option<&str>) -> Self {
        Self { endpoint: endpoint.to_owned(), event_type: event_type.map(ToOwned::to_owned) }
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The type; `None` for all.
    pub fn event_type(&self) -> Option<&str> {
        self.event_type.as_deref()
    }
}
