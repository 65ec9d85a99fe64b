//! The runs in this process: what a repeated delivery waits for, and what shutdown waits for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout, timeout_at},
};

use crate::answer::Outcome;
use crate::dedup::{Fingerprint, Key};

/// How long what was given up at the drain deadline may take to release its claims: shutdown ends
/// whatever they do.
pub(crate) const HARD_END: Duration = Duration::from_secs(3);

/// All runs of one receiver, and of its worker.
#[derive(Default)]
pub(crate) struct Running {
    state: Mutex<State>,
    emptied: Notify,
    intake_ended: Notify,
    drain_ended: Notify,
}

#[derive(Default)]
struct State {
    intake_stopped: bool,
    drain_ended: bool,
    /// Deliveries that are being claimed and run.
    count: usize,
    runs: HashMap<Key, Run>,
    /// Deliveries that wait for the run of their event by a worker.
    awaited: HashMap<Key, watch::Sender<Option<Outcome>>>,
}

struct Run {
    fingerprint: Fingerprint,
    /// Made by the first that waits: nearly all runs have none.
    ending: Option<watch::Sender<Option<Outcome>>>,
    /// It has ended so, and stays here until its mark is made.
    outcome: Option<Outcome>,
}

/// A run that somebody waits for.
pub(crate) struct Found {
    ending: watch::Receiver<Option<Outcome>>,
    /// Whether its body is that of the waiting delivery.
    pub(crate) same_body: bool,
}

/// Whether a run was registered.
pub(crate) enum Entry {
    Registered,
    /// Another run of the key is registered.
    AlreadyRuns,
    IntakeStopped,
}

impl Running {
    /// Lets a delivery in, until the visit is dropped; `None` once the intake is stopped.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Visit> {
        let mut state = self.lock();
        if state.intake_stopped {
            return None;
        }
        state.count += 1;
        Some(Visit { running: Arc::clone(self), registration: None })
    }

    /// The run of a key in this process.
    pub(crate) fn find(&self, key: &Key, fingerprint: Fingerprint) -> Option<Found> {
        let mut state = self.lock();
        let run = state.runs.get_mut(key)?;
        let outcome = run.outcome;
        let ending = run.ending.get_or_insert_with(|| watch::channel(outcome).0).subscribe();
        Some(Found { ending, same_body: run.fingerprint == fingerprint })
    }

    /// Awaits how a worker's run of a key ends, from now on.
    pub(crate) fn await_end(self: &Arc<Self>, key: &Key) -> Awaited {
        let mut state = self.lock();
        let ending = state.awaited.entry(key.clone()).or_insert_with(|| watch::channel(None).0).subscribe();
        Awaited { running: Arc::clone(self), key: key.clone(), ending: Some(ending) }
    }

    /// Tells the delivery that waits for it how a worker's run of a key has ended.
    pub(crate) fn tell_end(&self, key: &Key, outcome: Outcome) {
        if let Some(ending) = self.lock().awaited.get(key) {
            ending.send_replace(Some(outcome));
        }
    }

    pub(crate) fn intake_stopped(&self) -> bool {
        self.lock().intake_stopped
    }

    pub(crate) fn stop_intake(&self) {
        self.lock().intake_stopped = true;
        self.intake_ended.notify_waiters();
    }

    /// Stops the intake, lets the runs end until the deadline, then has the rest given up, and
    /// waits a little for that.
    pub(crate) async fn drain(&self, deadline: Instant) {
        self.stop_intake();
        if timeout_at(deadline, self.empty()).await.is_err() {
            self.lock().drain_ended = true;
            self.drain_ended.notify_waiters();
            // A handler that blocks its thread cannot be given up.
            let _ = timeout(HARD_END, self.empty()).await;
        }
    }

    /// Resolves when the intake is stopped.
    pub(crate) async fn intake_ended(&self) {
        let ended = self.intake_ended.notified();
        if !self.lock().intake_stopped {
            ended.await;
        }
    }

    /// Resolves when the drain deadline has passed.
    pub(crate) async fn drain_ended(&self) {
        let ended = self.drain_ended.notified();
        if !self.lock().drain_ended {
            ended.await;
        }
    }

    async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.lock().count == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    /// Waits for its end; `None` where its task is gone without an outcome.
    pub(crate) async fn ended(mut self) -> Option<Outcome> {
        outcome_of(&mut self.ending).await
    }
}

async fn outcome_of(ending: &mut watch::Receiver<Option<Outcome>>) -> Option<Outcome> {
    ending.wait_for(Option::is_some).await.ok().and_then(|outcome| *outcome)
}

/// A worker's run that a delivery waits for.
pub(crate) struct Awaited {
    running: Arc<Running>,
    key: Key,
    /// `None` once it is dropped.
    ending: Option<watch::Receiver<Option<Outcome>>>,
}

impl Awaited {
    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> Option<Outcome> {
        outcome_of(self.ending.as_mut()?).await
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut state = self.running.lock();
        self.ending = None;
        // Another delivery of the event may wait too.
        if state.awaited.get(&self.key).is_some_and(|ending| ending.receiver_count() == 0) {
            state.awaited.remove(&self.key);
        }
    }
}

/// A delivery that is being claimed and run.
pub(crate) struct Visit {
    running: Arc<Running>,
    registration: Option<Registration>,
}

impl Visit {
    /// Registers the run, so that others wait for it. Dropped without [`Visit::publish`], it
    /// vanishes for them.
    pub(crate) fn run(&mut self, key: &Key, fingerprint: Fingerprint) -> Entry {
        let mut state = self.running.lock();
        if state.intake_stopped {
            return Entry::IntakeStopped;
        }
        if state.runs.contains_key(key) {
            return Entry::AlreadyRuns;
        }
        state.runs.insert(key.clone(), Run { fingerprint, ending: None, outcome: None });
        self.registration = Some(Registration { running: Arc::clone(&self.running), key: key.clone() });
        Entry::Registered
    }

    /// Tells those that wait, and those that come until it is dropped, how the run ended.
    pub(crate) fn publish(&mut self, outcome: Outcome) {
        let Some(Registration { key, .. }) = &self.registration else { return };
        if let Some(run) = self.running.lock().runs.get_mut(key) {
            run.outcome = Some(outcome);
            if let Some(ending) = &run.ending {
                ending.send_replace(Some(outcome));
            }
        }
    }

    /// Lets the registration outlive the visit: shutdown does not wait for it.
    pub(crate) fn leave_in_background(mut self) -> Option<Registration> {
        self.registration.take()
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        drop(self.registration.take());
        let mut state = self.running.lock();
        state.count -= 1;
        if state.count == 0 {
            self.running.emptied.notify_waiters();
        }
    }
}

/// A registered run; gone when dropped.
pub(crate) struct Registration {
    running: Arc<Running>,
    key: Key,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let ended = self.running.lock().runs.remove(&self.key);
        // Dropped after the lock: it wakes those that wait and have no outcome yet.
        drop(ended);
    }
}
