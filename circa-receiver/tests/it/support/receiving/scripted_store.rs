//! A store that fails on demand.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use circa_receiver::{
    DedupStore, MemoryStore,
    dedup::{ClaimAnswer, ClaimRequest, Key, Nonce, StoreError, Token},
    testing::TokioClock,
};

use super::{
    NOW,
    script::{Fault, Script},
};

/// A store that fails on demand, and counts its calls.
#[derive(Clone)]
pub(crate) struct ScriptedStore {
    inner: Arc<dyn DedupStore>,
    script: Script,
    nonces: Arc<Mutex<Vec<Nonce>>>,
}

impl ScriptedStore {
    pub(crate) fn new(inner: impl DedupStore) -> Self {
        Self { inner: Arc::new(inner), script: Script::default(), nonces: Arc::default() }
    }

    /// A scripted [`MemoryStore`] whose time is tokio's.
    pub(crate) fn memory() -> Self {
        Self::new(MemoryStore::default().clock(TokioClock::starting_at(NOW)))
    }

    /// The next so many calls of an operation (`"claim"`, `"renew"`, `"complete"`, `"release"`,
    /// `"withdraw"`, `"forget"`) go wrong.
    pub(crate) fn script(&self, operation: &'static str, fault: Fault, times: usize) {
        self.script.fault(operation, fault, times);
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.script.calls(operation)
    }

    /// The nonces of all claims, in the order in which they came.
    pub(crate) fn nonces(&self) -> Vec<Nonce> {
        self.nonces.lock().unwrap().clone()
    }
}

#[async_trait]
impl DedupStore for ScriptedStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.nonces.lock().unwrap().push(request.nonce());
        self.script.call("claim", self.inner.claim(request)).await
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        self.script.call("renew", self.inner.renew(key, token, lease)).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        self.script.call("complete", self.inner.complete(key, token, retention)).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.script.call("release", self.inner.release(key, token)).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        self.script.call("withdraw", self.inner.withdraw(key, nonce)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.script.call("forget", self.inner.forget(key)).await
    }
}
