//! An inbox, and how receivers and workers use it: each call bounded in time.

use std::{future::Future, sync::Arc, time::Duration};

use super::accept::{AcceptRequest, Accepted};
use super::control::{Change, Filter, Record};
use super::lease::{Lease, LeaseRequest, Leased};
use super::settlement::Settlement;
use super::store::Inbox;
use crate::call_timeout::bounded;
use crate::dedup::Key;
use crate::error::StoreError;
use crate::observe::Stats;

/// An inbox, and how long each call of it may take.
#[derive(Clone)]
pub(crate) struct Calls {
    inbox: Arc<dyn Inbox>,
    timeout: Duration,
}

impl Calls {
    pub(crate) fn new(inbox: Arc<dyn Inbox>, timeout: Duration) -> Self {
        Self { inbox, timeout }
    }

    pub(crate) fn inbox(&self) -> &Arc<dyn Inbox> {
        &self.inbox
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError> {
        self.bounded(|| self.inbox.accept(request)).await
    }

    pub(super) async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        self.bounded(|| self.inbox.lease(request)).await
    }

    pub(super) async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError> {
        self.bounded(|| self.inbox.renew(lease, duration)).await
    }

    pub(super) async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError> {
        self.bounded(|| self.inbox.settle(lease, settlement)).await
    }

    pub(super) async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError> {
        self.bounded(|| self.inbox.stats(endpoint)).await
    }

    pub(super) async fn list(
        &self,
        filter: &Filter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        self.bounded(|| self.inbox.list(filter, after, limit)).await
    }

    pub(super) async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        self.bounded(|| self.inbox.change(ids, change)).await
    }

    pub(crate) async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.bounded(|| self.inbox.forget(key)).await
    }

    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        self.bounded(|| self.inbox.check()).await
    }

    fn bounded<T, F>(&self, call: impl FnOnce() -> F) -> impl Future<Output = Result<T, StoreError>>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        bounded(self.timeout, "inbox", call)
    }
}
