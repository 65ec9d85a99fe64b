//! An inbox that fails on demand.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use circa_receiver::{
    Inbox,
    dedup::{Key, StoreError},
    inbox::{
        AcceptRequest, Accepted, Change, Failure, Filter, Lease, LeaseRequest, Leased, Pause, Record, Settlement,
        Stats, Wake,
    },
    testing::{MemoryInbox, TokioClock},
};

use super::{
    NOW,
    script::{Fault, Script},
};

const LEASE: Duration = Duration::from_secs(60);

/// An inbox in memory, whose time is tokio's, and which fails on demand and counts its calls.
/// Clones are the same.
#[derive(Clone)]
pub(crate) struct ScriptedInbox {
    inner: Arc<MemoryInbox>,
    script: Script,
    /// A receiver in dedup mode handles every event that is accepted.
    is_in_progress: Arc<AtomicBool>,
    /// Of this process alone, where the inbox is another process's too.
    own_wake: Option<Wake>,
}

impl ScriptedInbox {
    pub(crate) fn new() -> Self {
        let inner = Arc::new(MemoryInbox::with_clock(TokioClock::starting_at(NOW)));
        Self { inner, script: Script::default(), is_in_progress: Arc::default(), own_wake: None }
    }

    /// The same inbox, as another process sees it: not woken by this one, and with faults of its
    /// own.
    pub(crate) fn of_another_process(&self) -> Self {
        Self { own_wake: Some(Wake::default()), script: Script::default(), ..self.clone() }
    }

    pub(crate) fn memory(&self) -> &MemoryInbox {
        &self.inner
    }

    /// The next so many calls of an operation (`"accept"`, `"lease"`, `"renew"`, `"settle"`,
    /// `"forget"`, `"stats"`, `"check"`) go wrong.
    pub(crate) fn script(&self, operation: &'static str, fault: Fault, times: usize) {
        self.script.fault(operation, fault, times);
    }

    pub(crate) fn set_in_progress(&self, is_in_progress: bool) {
        self.is_in_progress.store(is_in_progress, Ordering::SeqCst);
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.script.calls(operation)
    }
}

#[async_trait]
impl Inbox for ScriptedInbox {
    async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError> {
        if self.is_in_progress.load(Ordering::SeqCst) {
            return self.script.call("accept", async { Ok(Accepted::InProgress { retry_after: LEASE }) }).await;
        }
        self.script.call("accept", self.inner.accept(request)).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        self.script.call("lease", self.inner.lease(request)).await
    }

    async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError> {
        self.script.call("renew", self.inner.renew(lease, duration)).await
    }

    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError> {
        self.script.call("settle", self.inner.settle(lease, settlement)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.script.call("forget", self.inner.forget(key)).await
    }

    async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError> {
        self.script.call("stats", self.inner.stats(endpoint)).await
    }

    async fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.inner.list(filter, after, limit).await
    }

    async fn failures(&self, id: u64) -> Result<Vec<Failure>, StoreError> {
        self.inner.failures(id).await
    }

    async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        self.inner.change(ids, change).await
    }

    async fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError> {
        self.inner.set_paused(pause, is_paused).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.inner.pauses().await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.script.call("check", self.inner.check()).await
    }

    fn wake(&self) -> &Wake {
        self.own_wake.as_ref().unwrap_or(self.inner.wake())
    }
}
