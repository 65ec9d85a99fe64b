//! The one thread that writes: what has queued becomes one transaction, and is answered after its commit.
//!
//! One by one, every claim would wait for a flush of its own; a second connection would only wait for the first one's lock.

use std::{
    io,
    iter::once,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::{super::StoreError, rows::Rows};

/// So many calls wait at most: four times as many as a receiver has requests in flight by default.
const QUEUE: usize = 1_024;

/// So many calls share a transaction at most, so that the first does not wait for all that come after it.
const GROUP: usize = 256;

/// So long a group waits to become as large as the last one, half as long as a fast disk takes to flush it: else one caller that is quicker than the others
/// would have a flush of its own each time.
const GATHER: Duration = Duration::from_micros(100);

/// How often it is looked for rows whose time is over, once there were none left.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The way to the writing thread, which ends when this is dropped.
pub(super) struct Writer {
    queue: SyncSender<Box<dyn Step>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> io::Result<Self> {
        let (queue, steps) = sync_channel(QUEUE);
        thread::Builder::new().name("circa-sqlite".to_owned()).spawn(move || serve(connection, &steps))?;
        Ok(Self { queue })
    }

    /// Does a step in a transaction with others. Dropped while it waits, the step is not done; dropped later, it may have been.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Rows<'_>) -> rusqlite::Result<T> + Send + 'static,
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

/// What a group's transaction came to, for all of its steps.
type Committed = Result<(), Arc<rusqlite::Error>>;

/// A part of a group.
trait Step: Send {
    /// Nobody waits for the answer any more.
    fn is_dropped(&self) -> bool;

    fn run(&mut self, rows: &Rows<'_>) -> rusqlite::Result<()>;

    fn answer(self: Box<Self>, committed: &Committed);
}

struct Asked<T, F> {
    ask: Option<F>,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnOnce(&Rows<'_>) -> rusqlite::Result<T> + Send> Step for Asked<T, F> {
    fn is_dropped(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, rows: &Rows<'_>) -> rusqlite::Result<()> {
        if let Some(ask) = self.ask.take() {
            self.done = Some(ask(rows)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, committed: &Committed) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(ended()),
            (Err(error), _) => Err(StoreError::Failed(Box::new(Arc::clone(error)))),
        };
        // The caller may be gone: its claim can be repeated by its nonce, and lapses with its lease.
        let _ = self.reply.send(answer);
    }
}

fn serve(mut connection: Connection, steps: &Receiver<Box<dyn Step>>) {
    let mut next_sweep = Instant::now();
    let mut last = 0;
    while let Ok(first) = steps.recv() {
        let mut group = gather(first, steps, last);
        last = group.len();
        if group.is_empty() {
            continue;
        }
        let committed = commit(&mut connection, &mut group, &mut next_sweep).map_err(Arc::new);
        for step in group {
            step.answer(&committed);
        }
    }
}

/// What has queued; and if that is less than the last group was, what comes within [`GATHER`]: its callers are coming back.
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

/// All steps or none: what fails is the disk, the lock or the file, and that fails for all.
fn commit(connection: &mut Connection, group: &mut [Box<dyn Step>], next_sweep: &mut Instant) -> rusqlite::Result<()> {
    // The lock from the start: a transaction that only read could not become one that writes when another process was faster.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = Rows::new(&transaction)?;
    for step in group {
        step.run(&rows)?;
    }
    let now = Instant::now();
    if now >= *next_sweep && !rows.sweep()? {
        *next_sweep = now + SWEEP_EVERY;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{super::rows::SCHEMA, *};

    #[tokio::test]
    async fn a_thread_that_has_ended_fails_every_call() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SCHEMA).unwrap();
        let writer = Writer::start(connection).unwrap();
        assert_eq!(writer.ask(|_| Ok(7)).await.unwrap(), 7);
        for call in 0..3 {
            let answer = writer.ask(|_| -> rusqlite::Result<()> { panic!("the thread ends here") }).await;
            assert!(answer.unwrap_err().to_string().contains("has ended"), "call {call}");
        }
    }
}
