//! An inbox in memory: what an inbox must do, in the plainest way, for tests.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;

use crate::clock::{Clock, SystemClock};
use crate::dedup::{Fingerprint, Key, Nonce, Token};
use crate::error::StoreError;
use crate::inbox::{
    self, AcceptRequest, Accepted, Cause, Change, Entry, Failure, Filter, Inbox, Lease, LeaseRequest, Leased, Pause,
    Record, Settlement, Stats, Wake,
};

/// An inbox in memory, for tests: what it has accepted is gone with it, so it keeps no promise that
/// an inbox makes.
///
/// It is the model that `inbox_tests!` compares every inbox with. With a
/// [`TokioClock`](crate::testing::TokioClock) a receiver and its worker run in paused time.
pub struct MemoryInbox {
    rows: Mutex<Vec<Row>>,
    pauses: Mutex<BTreeSet<Pause>>,
    clock: Arc<dyn Clock>,
    wake: Wake,
}

struct Row {
    entry: Entry,
    key: Key,
    fingerprint: Fingerprint,
    nonce: Nonce,
    state: State,
    token: u64,
    attempts: u32,
    postponed: u32,
    arrived: Duration,
    worker: Option<String>,
    failures: Vec<Failure>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Ready { due: Duration },
    Running { lapses: Duration },
    Done { ends: Duration },
    Dead(Cause),
    Discarded { ends: Duration, cause: Option<Cause> },
    Forgotten,
}

impl State {
    /// Since when it can be leased.
    fn due(self) -> Option<Duration> {
        match self {
            Self::Ready { due } => Some(due),
            Self::Running { lapses } => Some(lapses),
            Self::Done { .. } | Self::Dead(_) | Self::Discarded { .. } | Self::Forgotten => None,
        }
    }

    fn is_remembered(self, now: Duration) -> bool {
        match self {
            Self::Done { ends } | Self::Discarded { ends, .. } => now < ends,
            Self::Ready { .. } | Self::Running { .. } | Self::Dead(_) => true,
            Self::Forgotten => false,
        }
    }
}

impl Row {
    fn fail(&mut self, error: &str) {
        self.failures.push(Failure::new(self.attempts, self.worker.clone(), error.to_owned()));
    }

    fn record(&self, id: u64) -> Record {
        let entry = &self.entry;
        let arrived = UNIX_EPOCH + self.arrived;
        let mut record = Record::new(id, entry.endpoint(), entry.event_id(), entry.event_type(), arrived);
        record.state = match self.state {
            State::Ready { .. } => inbox::State::Ready,
            State::Running { .. } => inbox::State::Running,
            State::Done { .. } => inbox::State::Done,
            State::Dead(_) => inbox::State::Dead,
            State::Discarded { .. } | State::Forgotten => inbox::State::Discarded,
        };
        record.cause = match self.state {
            State::Dead(cause) => Some(cause),
            State::Discarded { cause, .. } => cause,
            _ => None,
        };
        (record.attempts, record.postponed, record.worker) = (self.attempts, self.postponed, self.worker.clone());
        record.error = self.failures.last().map(|failure| failure.error.clone());
        record
    }

    fn change(&mut self, now: Duration, change: Change) -> bool {
        match (self.state, change) {
            (State::Dead(_), Change::Replay) => {
                self.state = State::Ready { due: now };
                (self.attempts, self.postponed) = (0, 0);
            }
            (State::Dead(cause), Change::Discard { retention }) => {
                self.state = State::Discarded { ends: now + retention, cause: Some(cause) };
            }
            (State::Done { .. }, Change::Discard { retention }) => {
                self.state = State::Discarded { ends: now + retention, cause: None };
            }
            (State::Discarded { cause, .. }, Change::Restore) => {
                self.state = State::Dead(cause.unwrap_or(Cause::Permanent));
            }
            _ => return false,
        }
        true
    }
}

impl Default for MemoryInbox {
    fn default() -> Self {
        Self::with_clock(SystemClock)
    }
}

impl MemoryInbox {
    /// An empty inbox whose leases, backoffs and retentions go by this clock.
    pub fn with_clock(clock: impl Clock) -> Self {
        Self { rows: Mutex::default(), pauses: Mutex::default(), clock: Arc::new(clock), wake: Wake::default() }
    }

    /// The ids of the events that are dead, with their causes, in order of arrival.
    pub fn dead(&self) -> Vec<(String, Cause)> {
        let dead = |row: &Row| match row.state {
            State::Dead(cause) => Some((row.entry.event_id().to_owned(), cause)),
            _ => None,
        };
        self.lock().iter().filter_map(dead).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The row that a lease still holds.
    fn held<T>(&self, lease: Lease, change: impl FnOnce(&mut Row) -> T) -> Option<T> {
        let mut rows = self.lock();
        let row = rows.get_mut(usize::try_from(lease.id()).ok()?)?;
        let is_held = row.token == lease.token().get() && matches!(row.state, State::Running { .. });
        is_held.then(|| change(row))
    }
}

#[async_trait]
impl Inbox for MemoryInbox {
    async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError> {
        let now = self.clock.monotonic();
        let entry = request.entry();
        let mut rows = self.lock();
        if let Some(known) = rows.iter().find(|row| row.key == entry.key() && row.state.is_remembered(now)) {
            let same_body = known.fingerprint == entry.fingerprint();
            return Ok(if known.nonce == request.nonce() { Accepted::New } else { Accepted::Known { same_body } });
        }
        let is_readable = request.why_unreadable().is_none();
        rows.push(Row {
            entry: entry.clone(),
            key: entry.key(),
            fingerprint: entry.fingerprint(),
            nonce: request.nonce(),
            state: if is_readable { State::Ready { due: now } } else { State::Dead(Cause::Unreadable) },
            token: 0,
            attempts: 0,
            postponed: 0,
            arrived: now,
            worker: None,
            failures: Vec::new(),
        });
        drop(rows);
        self.wake.notify();
        Ok(Accepted::New)
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        let now = self.clock.monotonic();
        let mut rows = self.lock();
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_paused = |row: &Row| {
            let (endpoint, event_type) = (row.entry.endpoint(), row.entry.event_type());
            [None, Some(event_type)].into_iter().any(|one| pauses.contains(&Pause::new(endpoint, one)))
        };
        // First whether it is due: nearly all rows are not.
        let is_wanted = |row: &Row| {
            row.state.due().is_some_and(|due| due <= now)
                && request.interests().iter().any(|interest| interest.covers(&row.entry))
                && !is_paused(row)
        };
        let mut due: Vec<usize> = (0..rows.len()).filter(|at| is_wanted(&rows[*at])).collect();
        due.sort_by_key(|at| rows[*at].state.due());
        due.truncate(request.limit());
        let leased = due.into_iter().map(|at| {
            let row = &mut rows[at];
            if matches!(row.state, State::Running { .. }) {
                row.fail("the lease lapsed");
            }
            row.state = State::Running { lapses: now + request.duration() };
            row.worker = Some(request.worker().to_owned());
            row.token += 1;
            row.attempts += 1;
            let lease = Lease::new(at as u64, Token::new(row.token));
            Leased::new(lease, row.entry.clone(), UNIX_EPOCH + row.arrived, row.attempts, row.postponed)
        });
        Ok(leased.collect())
    }

    async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError> {
        let lapses = self.clock.monotonic() + duration;
        Ok(self.held(lease, |row| row.state = State::Running { lapses }).is_some())
    }

    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError> {
        let now = self.clock.monotonic();
        let settled = self.held(lease, |row| match settlement {
            Settlement::Complete { retention } => row.state = State::Done { ends: now + retention },
            Settlement::Retry { after, error } => {
                row.fail(&error);
                row.state = State::Ready { due: now + after };
            }
            Settlement::Postpone { after, error } => {
                row.fail(&error);
                row.state = State::Ready { due: now + after };
                row.attempts -= 1;
                row.postponed += 1;
            }
            Settlement::GiveBack => {
                row.state = State::Ready { due: now };
                row.attempts -= 1;
            }
            Settlement::Bury { cause, error } => {
                row.fail(&error);
                row.state = State::Dead(cause);
            }
        });
        self.wake.notify();
        Ok(settled.is_some())
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        let now = self.clock.monotonic();
        let is_done = |row: &&mut Row| row.key == *key && matches!(row.state, State::Done { ends } if now < ends);
        Ok(self.lock().iter_mut().find(is_done).map(|row| row.state = State::Forgotten).is_some())
    }

    async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError> {
        let now = self.clock.monotonic();
        let mut stats = Stats::default();
        for row in self.lock().iter().filter(|row| row.entry.endpoint() == endpoint) {
            match row.state {
                state if state.due().is_some_and(|due| due <= now) => {
                    stats.ready += 1;
                    stats.lag = stats.lag.max(state.due().map(|due| now - due));
                }
                State::Ready { .. } => stats.waiting += 1,
                State::Running { .. } => stats.running += 1,
                State::Dead(_) => stats.dead += 1,
                State::Done { .. } | State::Discarded { .. } | State::Forgotten => {}
            }
        }
        Ok(stats)
    }

    async fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>, StoreError> {
        let rows = self.lock();
        let records = (0..).zip(rows.iter()).filter(|(_, row)| row.state != State::Forgotten);
        let records = records.map(|(id, row)| row.record(id)).filter(|record| filter.covers(record));
        Ok(records.filter(|record| after.is_none_or(|after| record.id > after)).take(limit).collect())
    }

    async fn failures(&self, id: u64) -> Result<Vec<Failure>, StoreError> {
        let rows = self.lock();
        let row = usize::try_from(id).ok().and_then(|id| rows.get(id));
        Ok(row.map(|row| row.failures.clone()).unwrap_or_default())
    }

    async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        let now = self.clock.monotonic();
        let mut rows = self.lock();
        let changed = ids.iter().filter(|id| {
            let row = usize::try_from(**id).ok().and_then(|id| rows.get_mut(id));
            row.is_some_and(|row| row.change(now, change))
        });
        let changed = changed.count() as u64;
        drop(rows);
        self.wake.notify();
        Ok(changed)
    }

    async fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError> {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = if is_paused { pauses.insert(pause.clone()) } else { pauses.remove(pause) };
        drop(pauses);
        self.wake.notify();
        Ok(changed)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        Ok(self.pauses.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect())
    }

    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }
}

impl fmt::Debug for MemoryInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryInbox").field("events", &self.lock().len()).finish_non_exhaustive()
    }
}
