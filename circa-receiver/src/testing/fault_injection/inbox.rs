//! The calls of an inbox behind an injector.

use std::time::Duration;

use async_trait::async_trait;

use super::call::StoreCall;
use super::faulty::Faulty;
use super::injector::Asked;
use super::store::event_id;
use crate::dedup::Key;
use crate::error::StoreError;
use crate::inbox::{
    AcceptRequest, Accepted, Change, Failure, Filter, Inbox, Lease, LeaseRequest, Leased, Pause, Record, Settlement,
    Stats, Wake,
};

#[async_trait]
impl<I: Inbox> Inbox for Faulty<I> {
    async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError> {
        let event_id = request.entry().event_id().to_owned();
        let did = |answer: &Accepted| *answer == Accepted::New;
        let asked = Asked { operation: "accept", event_id, did, killed: None };
        self.waking(asked, self.inner.accept(request)).await
    }

    /// One call leases several events: each is reported.
    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        let leasing = async {
            let leased = self.inner.lease(request).await?;
            for one in &leased {
                let event_id = one.entry().event_id().to_owned();
                self.leased().insert(one.lease().id(), event_id.clone());
                self.injector.tell(StoreCall { operation: "lease", event_id, fault: None, did: Some(true) });
                self.injector.count_call();
            }
            Ok(leased)
        };
        self.injector.call(Asked::looking("lease"), leasing).await
    }

    async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError> {
        self.injector.call(self.fenced("renew", lease), self.inner.renew(lease, duration)).await
    }

    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError> {
        let operation = match settlement {
            Settlement::Complete { .. } | Settlement::CompleteWithoutBody { .. } => "complete",
            Settlement::Retry { .. } => "retry",
            Settlement::Postpone { .. } => "postpone",
            Settlement::GiveBack => "give back",
            Settlement::Bury { .. } => "bury",
        };
        self.waking(self.fenced(operation, lease), self.inner.settle(lease, settlement)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.injector.call(Asked::fenced("forget", event_id(key)), self.inner.forget(key)).await
    }

    async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError> {
        self.injector.call(Asked::looking("stats"), self.inner.stats(endpoint)).await
    }

    async fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.injector.call(Asked::looking("list"), self.inner.list(filter, after, limit)).await
    }

    async fn failures(&self, id: u64) -> Result<Vec<Failure>, StoreError> {
        self.injector.call(Asked::looking("failures"), self.inner.failures(id)).await
    }

    async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        self.waking(Asked::looking("change"), self.inner.change(ids, change)).await
    }

    async fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError> {
        self.waking(Asked::looking("pause"), self.inner.set_paused(pause, is_paused)).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.injector.call(Asked::looking("pauses"), self.inner.pauses()).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.injector.call(Asked::looking("check"), self.inner.check()).await
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }
}

impl<I> Faulty<I> {
    /// A call after which an event may be ready: it wakes this process's worker.
    async fn waking<T>(
        &self,
        asked: Asked<T>,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let called = async {
            let answer = call.await;
            self.wake.notify();
            answer
        };
        self.injector.call(asked, called).await
    }

    fn fenced(&self, operation: &'static str, lease: Lease) -> Asked<bool> {
        Asked::fenced(operation, self.leased().get(&lease.id()).cloned().unwrap_or_default())
    }
}
