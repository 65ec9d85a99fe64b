//! The one thread that writes: the calls that have queued become one transaction (group commit),
//! and each is answered after its commit.
//!
//! Committed one by one, every call would wait for a flush of its own; a second connection would
//! wait for the lock of the first one.

use std::{
    error::Error,
    io,
    iter::once,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::clock::InjectedClock;
use super::file::File;
use crate::error::StoreError;

/// The calls that may wait at most: four times as many as a receiver has requests in flight by
/// default.
const QUEUE: usize = 1_024;

/// The calls that one group has at most, so that the first of them does not wait for all that come
/// later.
const GROUP: usize = 256;

/// How long a group waits to become as large as the last one: half as long as a fast disk takes for
/// a flush. Without it, a caller that is quicker than the others would have a flush of its own each
/// time.
const GATHER: Duration = Duration::from_micros(100);

/// The pause between two sweeps, once a sweep has found nothing more.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The transaction of a group.
pub(crate) struct Group<'a> {
    pub(crate) connection: &'a Connection,
    /// When it began, in milliseconds since 1970, by SQLite's clock.
    pub(crate) now: i64,
}

impl<'a> Group<'a> {
    pub(crate) fn new(connection: &'a Connection) -> rusqlite::Result<Self> {
        let mut clock =
            connection.prepare_cached("SELECT CAST(round(unixepoch('now', 'subsec') * 1000) AS INTEGER)")?;
        let now = clock.query_row([], |row| row.get(0))?;
        Ok(Self { connection, now })
    }

    pub(crate) fn at(connection: &'a Connection, clock: Option<&InjectedClock>) -> rusqlite::Result<Self> {
        match clock {
            Some(clock) => Ok(Self { connection, now: clock.now() }),
            None => Self::new(connection),
        }
    }
}

/// Sends calls to the writing thread, which ends when this is dropped.
pub(crate) struct Writer {
    queue: SyncSender<Box<dyn Step>>,
}

impl Writer {
    /// Starts the thread, with SQLite's own clock unless another one is injected. `sweep` removes
    /// some rows that have ended, in the transaction of a group, and answers whether there may be
    /// more of them.
    pub(crate) fn start(
        file: File,
        clock: Option<InjectedClock>,
        sweep: impl FnMut(&Group<'_>) -> rusqlite::Result<bool> + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, steps) = sync_channel(QUEUE);
        let thread = Thread { file, clock, sweep, next_sweep: Instant::now() };
        thread::Builder::new().name("circa-sqlite".to_owned()).spawn(move || thread.serve(&steps))?;
        Ok(Self { queue })
    }

    /// Does a step in the transaction of a group. A call that is dropped while it waits is not
    /// done; one that is dropped later may have been.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Group<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let step = Asked { ask: Some(ask), done: None, reply };
        self.queue.try_send(Box::new(step)).map_err(|error| match error {
            TrySendError::Full(_) => {
                StoreError::Failed(format!("{QUEUE} calls wait for the SQLite file already").into())
            }
            TrySendError::Disconnected(_) => ended(),
        })?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

fn ended() -> StoreError {
    StoreError::Failed("the thread that writes to the SQLite file has ended".into())
}

/// Why a group was not committed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{} was removed or replaced while in use: restart the process, which then opens the file at this path", .0.display())]
    NotInPlace(PathBuf),
}

/// The result of a group's commit, for all of its steps.
type Committed = Result<(), Arc<Failure>>;

/// A call in a group.
trait Step: Send {
    /// Whether the caller waits no more.
    fn is_dropped(&self) -> bool;

    fn run(&mut self, group: &Group<'_>) -> rusqlite::Result<()>;

    fn answer(self: Box<Self>, committed: &Committed);
}

struct Asked<T, F> {
    ask: Option<F>,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnOnce(&Group<'_>) -> rusqlite::Result<T> + Send> Step for Asked<T, F> {
    fn is_dropped(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, group: &Group<'_>) -> rusqlite::Result<()> {
        if let Some(ask) = self.ask.take() {
            self.done = Some(ask(group)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: &Committed) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(ended()),
            (Err(failure), _) => Err(StoreError::Failed(Box::new(Arc::clone(failure) as Arc<dyn Error + Send + Sync>))),
        };
        // The caller may be gone: its claim can be repeated by its nonce, and lapses with its
        // lease.
        let _ = self.reply.send(answer);
    }
}

/// What the writing thread has.
struct Thread<S> {
    file: File,
    clock: Option<InjectedClock>,
    sweep: S,
    next_sweep: Instant,
}

impl<S: FnMut(&Group<'_>) -> rusqlite::Result<bool>> Thread<S> {
    fn serve(mut self, steps: &Receiver<Box<dyn Step>>) {
        let mut last = 0;
        while let Ok(first) = steps.recv() {
            let mut group = gather(first, steps, last);
            last = group.len();
            if group.is_empty() {
                continue;
            }
            let committed = self.commit(&mut group).map_err(Arc::new);
            for step in group {
                step.answer(&committed);
            }
        }
    }

    /// Commits all steps or none: an error of the disk, the lock or the file concerns all of them.
    fn commit(&mut self, steps: &mut [Box<dyn Step>]) -> Result<(), Failure> {
        if !self.file.is_in_place() {
            return Err(Failure::NotInPlace(self.file.path().to_owned()));
        }
        // The lock from the start: a transaction that only reads cannot begin to write once another
        // process has written.
        let transaction = self.file.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let group = Group::at(&transaction, self.clock.as_ref())?;
        // The lock may have been waited for: what is dropped by now is not done.
        for step in steps.iter_mut().filter(|step| !step.is_dropped()) {
            step.run(&group)?;
        }
        let now = Instant::now();
        if now >= self.next_sweep && !(self.sweep)(&group)? {
            self.next_sweep = now + SWEEP_EVERY;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The steps that have queued; and if they are fewer than in the last group, those that come within
/// [`GATHER`]: the callers of the last group are about to ask again.
fn gather(first: Box<dyn Step>, steps: &Receiver<Box<dyn Step>>, last: usize) -> Vec<Box<dyn Step>> {
    let until = Instant::now() + GATHER;
    let mut next = Some(first);
    let mut group = Vec::with_capacity(last);
    while let Some(step) = next {
        let queued = once(step).chain(steps.try_iter()).filter(|step| !step.is_dropped());
        group.extend(queued.take(GROUP - group.len()));
        next = if group.len() < last {
            steps.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
        } else {
            None
        };
    }
    group
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{
        super::open::{Schema, open},
        *,
    };

    #[tokio::test]
    async fn a_thread_that_has_ended_fails_every_call() {
        let path = std::env::temp_dir().join(format!("circa-receiver-writer-{}.sqlite", std::process::id()));
        let schema =
            Schema { sql: "CREATE TABLE IF NOT EXISTS rows (row INTEGER)", application: 7, version: 1, usable_by: 1 };
        let writer = Writer::start(open(&path, &schema).unwrap(), None, |_| Ok(false)).unwrap();
        assert_eq!(writer.ask(|_| Ok(7)).await.unwrap(), 7);
        for call in 0..3 {
            let answer = writer.ask(|_| -> rusqlite::Result<()> { panic!("the thread ends here") }).await;
            assert!(answer.unwrap_err().to_string().contains("has ended"), "call {call}");
        }
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    }
}
