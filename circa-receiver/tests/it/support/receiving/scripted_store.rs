//! A store that fails on demand.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use circa_receiver::{
    DedupStore, MemoryStore,
    dedup::{ClaimAnswer, ClaimRequest, Key, Nonce, StoreError, Token},
    testing::TokioClock,
};

use super::NOW;

/// What a [`ScriptedStore`] does instead of answering.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Reports an error; nothing has happened.
    Fail,
    /// Never answers; nothing has happened.
    Hang,
    /// Does it, and reports an error.
    DoneButFails,
    /// Does it, and never answers.
    DoneButHangs,
    /// Pending once before and once after it is done: a step at which its caller can be dropped.
    Yield,
}

/// A store that fails on demand, and counts its calls.
#[derive(Clone)]
pub(crate) struct ScriptedStore {
    inner: Arc<dyn DedupStore>,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    faults: HashMap<&'static str, (Fault, usize)>,
    calls: Vec<&'static str>,
    nonces: Vec<Nonce>,
}

impl ScriptedStore {
    pub(crate) fn new(inner: impl DedupStore) -> Self {
        Self { inner: Arc::new(inner), script: Arc::default() }
    }

    /// A scripted [`MemoryStore`] whose time is tokio's.
    pub(crate) fn memory() -> Self {
        Self::new(MemoryStore::default().clock(TokioClock::starting_at(NOW)))
    }

    /// The next so many calls of an operation (`"claim"`, `"renew"`, `"complete"`, `"release"`, `"withdraw"`, `"forget"`) go wrong.
    pub(crate) fn script(&self, operation: &'static str, fault: Fault, times: usize) {
        self.script.lock().unwrap().faults.insert(operation, (fault, times));
    }

    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.script.lock().unwrap().calls.iter().filter(|call| **call == operation).count()
    }

    /// The nonces of all claims, in the order in which they came.
    pub(crate) fn nonces(&self) -> Vec<Nonce> {
        self.script.lock().unwrap().nonces.clone()
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = {
            let mut script = self.script.lock().unwrap();
            script.calls.push(operation);
            script.faults.get_mut(operation).and_then(|(fault, times)| {
                *times = times.checked_sub(1)?;
                Some(*fault)
            })
        };
        let failed = || Err(StoreError::Failed("scripted".into()));
        match fault {
            None => call.await,
            Some(Fault::Fail) => failed(),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::DoneButFails) => {
                call.await?;
                failed()
            }
            Some(Fault::DoneButHangs) => {
                call.await?;
                std::future::pending().await
            }
            Some(Fault::Yield) => {
                tokio::task::yield_now().await;
                let answer = call.await;
                tokio::task::yield_now().await;
                answer
            }
        }
    }
}

#[async_trait]
impl DedupStore for ScriptedStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.script.lock().unwrap().nonces.push(request.nonce());
        self.call("claim", self.inner.claim(request)).await
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        self.call("renew", self.inner.renew(key, token, lease)).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        self.call("complete", self.inner.complete(key, token, retention)).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.call("release", self.inner.release(key, token)).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        self.call("withdraw", self.inner.withdraw(key, nonce)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.call("forget", self.inner.forget(key)).await
    }
}
