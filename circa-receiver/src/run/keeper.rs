//! Renews the leases of what runs, out of the handlers' reach (contract, section 7).
//!
//! One task per receiver or worker wakes when a lease is due, and starts each renewal in a task of
//! its own. So neither a handler that blocks its thread or uses up its budget nor a slow store
//! stops the renewal of another. The task runs on the runtime on which the receiver or the worker
//! was built: with actix that is not a worker's.

use std::{
    collections::{BTreeSet, HashMap},
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::error::StoreError;

/// A renewal that failed is repeated after so long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The leases that are renewed.
pub(crate) struct Keeper {
    inner: Arc<Inner>,
    /// On which the receiver was built.
    runtime: Option<Handle>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    /// Something is due sooner than the task waits for.
    sooner: Notify,
}

#[derive(Default)]
struct State {
    next_number: u64,
    leases: HashMap<u64, Lease>,
    /// When each is due; the number tells leases apart that are due at the same time.
    due: BTreeSet<(Instant, u64)>,
    /// When the task wakes next; `None` while it waits for a first lease.
    wakes_at: Option<Instant>,
}

#[derive(Clone)]
struct Lease {
    holder: Arc<dyn Holder>,
    every: Duration,
    due: Instant,
}

/// Whose lease is renewed.
#[async_trait]
pub(crate) trait Holder: Send + Sync {
    /// Prolongs the lease. `false` if it has passed to another holder.
    async fn renew(&self) -> Result<bool, StoreError>;

    /// The lease has passed to another holder.
    fn lost(&self);

    /// A renewal ended, well or not, after so long.
    fn renewed(&self, elapsed: Duration);

    /// A renewal failed; it is repeated.
    fn failed(&self, error: &StoreError);
}

/// A lease is renewed until this is dropped.
pub(crate) struct Kept {
    inner: Arc<Inner>,
    number: u64,
}

impl Keeper {
    pub(crate) fn new() -> Self {
        Self { inner: Arc::default(), runtime: Handle::try_current().ok(), task: Mutex::default() }
    }

    /// Renews the holder's lease so often, until the guard is dropped.
    pub(crate) fn keep(&self, holder: Arc<dyn Holder>, every: Duration) -> Kept {
        self.ensure_runs();
        let lease = Lease { holder, every, due: Instant::now() + every };
        let mut state = self.inner.lock();
        let number = state.next_number;
        state.next_number += 1;
        let due = lease.due;
        state.leases.insert(number, lease);
        state.due.insert((due, number));
        let is_sooner = state.wakes_at.is_none_or(|wakes_at| due < wakes_at);
        drop(state);
        if is_sooner {
            self.inner.sooner.notify_one();
            // A task that a worker thread wakes or spawns runs next on that thread, and no other
            // thread takes it. A handler that now blocks the thread would block the keeper too. One
            // more task moves it to the queue that others take from.
            tokio::spawn(async {});
        }
        Kept { inner: Arc::clone(&self.inner), number }
    }

    /// A task ends with the runtime on which it was spawned.
    fn ensure_runs(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let own = if task.is_none() { self.runtime.as_ref() } else { None };
        let spawn = |runtime: &Handle| runtime.spawn(serve(Arc::clone(&self.inner)));
        self.inner.lock().wakes_at = None;
        // A runtime that is gone ends a task at once.
        let spawned = own.map(spawn).filter(|task| !task.is_finished());
        *task = Some(spawned.unwrap_or_else(|| spawn(&Handle::current())));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

async fn serve(inner: Arc<Inner>) {
    loop {
        let (due, wakes_at) = inner.lock().take_due(Instant::now());
        for (number, lease) in due {
            tokio::spawn(renew(Arc::clone(&inner), number, lease));
        }
        let wait = async {
            match wakes_at {
                Some(wakes_at) => sleep_until(wakes_at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = wait => {}
            () = inner.sooner.notified() => {}
        }
    }
}

async fn renew(inner: Arc<Inner>, number: u64, lease: Lease) {
    let started = Instant::now();
    let renewed = lease.holder.renew().await;
    lease.holder.renewed(started.elapsed());
    // What has ended meanwhile gave its lease up itself.
    if !inner.lock().leases.contains_key(&number) {
        return;
    }
    let again_after = match renewed {
        Ok(true) => lease.every,
        Ok(false) => return lease.holder.lost(),
        Err(error) => {
            lease.holder.failed(&error);
            RETRY_AFTER.min(lease.every)
        }
    };
    inner.lock().schedule(number, Instant::now() + again_after);
    inner.sooner.notify_one();
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is due now, and when the next is.
    fn take_due(&mut self, now: Instant) -> (Vec<(u64, Lease)>, Option<Instant>) {
        let mut taken = Vec::new();
        while let Some(first) = self.due.first().copied().filter(|(due, _)| *due <= now) {
            let (_, number) = first;
            self.due.remove(&first);
            taken.extend(self.leases.get(&number).map(|lease| (number, lease.clone())));
        }
        self.wakes_at = self.due.first().map(|(due, _)| *due);
        (taken, self.wakes_at)
    }

    fn schedule(&mut self, number: u64, due: Instant) {
        if let Some(lease) = self.leases.get_mut(&number) {
            lease.due = due;
            self.due.insert((due, number));
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        let ended = state.leases.remove(&self.number);
        if let Some(lease) = &ended {
            state.due.remove(&(lease.due, self.number));
        }
        // Dropped after the lock: it may hold the last handle of a receiver.
        drop(state);
    }
}
