//! The runs in this process: what a repeated delivery waits for, and what shutdown waits for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout_at},
};

use crate::answer::Outcome;
use crate::dedup::{Fingerprint, Key, KeyMap};

/// All runs of one receiver.
#[derive(Default)]
pub(crate) struct Running {
    state: Mutex<State>,
    emptied: Notify,
    drain_ended: Notify,
}

#[derive(Default)]
struct State {
    intake_stopped: bool,
    drain_ended: bool,
    /// Deliveries that are being claimed and run.
    count: usize,
    runs: KeyMap<Run>,
}

struct Run {
    fingerprint: Fingerprint,
    /// Made by the first that waits: nearly all runs have none.
    ending: Option<watch::Sender<Option<Outcome>>>,
}

/// How a run that somebody waited for ended.
pub(crate) enum Ending {
    /// With this outcome; and whether its body was that of the waiting delivery.
    Outcome(Outcome, bool),
    /// Its task is gone without an outcome.
    Vanished,
    /// There is no run in this process: the claim is held elsewhere.
    Elsewhere,
}

impl Running {
    /// Lets a delivery in, until it is dropped or ended; `None` once the intake is stopped.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Visit> {
        let mut state = self.lock();
        if state.intake_stopped {
            return None;
        }
        state.count += 1;
        Some(Visit { running: Arc::clone(self), key: None })
    }

    /// Waits for the run of a key in this process.
    pub(crate) async fn wait_for(&self, key: &Key, fingerprint: Fingerprint) -> Ending {
        let (mut ending, same_body) = {
            let mut state = self.lock();
            let Some(run) = state.runs.get_mut(key) else { return Ending::Elsewhere };
            let ending = run.ending.get_or_insert_with(|| watch::channel(None).0).subscribe();
            (ending, run.fingerprint == fingerprint)
        };
        match ending.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => Ending::Outcome(*outcome, same_body),
            Ok(None) | Err(_) => Ending::Vanished,
        }
    }

    pub(crate) fn intake_stopped(&self) -> bool {
        self.lock().intake_stopped
    }

    /// Stops the intake, lets the runs end until the deadline, then has the rest given up, and waits for that.
    pub(crate) async fn drain(&self, deadline: Instant) {
        self.lock().intake_stopped = true;
        if timeout_at(deadline, self.empty()).await.is_err() {
            self.lock().drain_ended = true;
            self.drain_ended.notify_waiters();
            self.empty().await;
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

/// A delivery that is being claimed and run.
pub(crate) struct Visit {
    running: Arc<Running>,
    /// Under which others wait for its run.
    key: Option<Key>,
}

impl Visit {
    /// From now on others can wait for this run. Dropped without [`Visit::end`], it vanishes for them. `false` if the intake was stopped meanwhile.
    #[must_use]
    pub(crate) fn run(&mut self, key: &Key, fingerprint: Fingerprint) -> bool {
        let mut state = self.running.lock();
        if state.intake_stopped {
            return false;
        }
        // Where dedup is off, or a lease has lapsed, a key may be running twice: the first run is the one that is waited for.
        if !state.runs.contains_key(key) {
            state.runs.insert(key.clone(), Run { fingerprint, ending: None });
            self.key = Some(key.clone());
        }
        true
    }

    /// Tells those that wait how the run ended.
    pub(crate) fn end(mut self, outcome: Outcome) {
        self.leave(Some(outcome));
    }

    fn leave(&mut self, outcome: Option<Outcome>) {
        let Some(key) = self.key.take() else { return };
        let run = self.running.lock().runs.remove(&key);
        if let (Some(ending), Some(_)) = (run.and_then(|run| run.ending), outcome) {
            ending.send_replace(outcome);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.leave(None);
        let mut state = self.running.lock();
        state.count -= 1;
        if state.count == 0 {
            self.running.emptied.notify_waiters();
        }
    }
}
