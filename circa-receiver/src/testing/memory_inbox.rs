//! An inbox in memory: what an inbox must do, in the plainest way, for tests.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;

use crate::clock::{Clock, SystemClock};
use crate::dedup::{Fingerprint, Key, Nonce, Token};
use crate::error::StoreError;
use crate::inbox::{
    AcceptRequest, Accepted, Cause, Entry, Inbox, Lease, LeaseRequest, Leased, Settlement, Stats, Wake,
};

/// An inbox in memory, for tests: what it has accepted is gone with it, so it keeps no promise that an inbox makes.
///
/// It is the model that `inbox_tests!` compares every inbox with. With a [`TokioClock`](crate::testing::TokioClock) a
/// receiver and its worker run in paused time.
pub struct MemoryInbox {
    rows: Mutex<Vec<Row>>,
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
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Ready { due: Duration },
    Running { lapses: Duration },
    Done { ends: Duration },
    Dead(Cause),
    Forgotten,
}

impl State {
    /// Since when it can be leased.
    fn due(self) -> Option<Duration> {
        match self {
            Self::Ready { due } => Some(due),
            Self::Running { lapses } => Some(lapses),
            Self::Done { .. } | Self::Dead(_) | Self::Forgotten => None,
        }
    }

    fn is_remembered(self, now: Duration) -> bool {
        match self {
            Self::Done { ends } => now < ends,
            Self::Ready { .. } | Self::Running { .. } | Self::Dead(_) => true,
            Self::Forgotten => false,
        }
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
        Self { rows: Mutex::default(), clock: Arc::new(clock), wake: Wake::default() }
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
        });
        drop(rows);
        self.wake.notify();
        Ok(Accepted::New)
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        let now = self.clock.monotonic();
        let mut rows = self.lock();
        let is_wanted = |row: &Row| {
            row.state.due().is_some_and(|due| due <= now)
                && request.interests().iter().any(|interest| interest.covers(&row.entry))
        };
        let mut due: Vec<usize> = (0..rows.len()).filter(|at| is_wanted(&rows[*at])).collect();
        due.sort_by_key(|at| rows[*at].state.due());
        due.truncate(request.limit());
        let leased = due.into_iter().map(|at| {
            let row = &mut rows[at];
            row.state = State::Running { lapses: now + request.duration() };
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
            Settlement::Retry { after, .. } => row.state = State::Ready { due: now + after },
            Settlement::Postpone { after, .. } => {
                row.state = State::Ready { due: now + after };
                row.attempts -= 1;
                row.postponed += 1;
            }
            Settlement::GiveBack => {
                row.state = State::Ready { due: now };
                row.attempts -= 1;
            }
            Settlement::Bury { cause, .. } => row.state = State::Dead(cause),
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
                State::Done { .. } | State::Forgotten => {}
            }
        }
        Ok(stats)
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
