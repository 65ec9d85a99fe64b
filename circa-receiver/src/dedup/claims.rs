//! A store, and how a receiver uses it: each call bounded in time.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::fingerprint::Fingerprint;
use super::key::Key;
use super::store::{ClaimAnswer, ClaimRequest, DedupStore};
use super::token::{Nonce, Token};
use super::tries::tried;
use crate::call_timeout::bounded;
use crate::error::StoreError;

/// How many calls may go on in the background at once. Beyond them a claim is left to its lease.
const MAX_BACKGROUND: usize = 1_024;

/// A store, and how it is used.
pub(crate) struct Claims {
    store: Arc<dyn DedupStore>,
    timeout: Duration,
    lease: Duration,
    retention: Duration,
    background: Arc<Semaphore>,
}

impl Claims {
    pub(crate) fn new(store: Arc<dyn DedupStore>, timeout: Duration, lease: Duration, retention: Duration) -> Self {
        Self { store, timeout, lease, retention, background: Arc::new(Semaphore::new(MAX_BACKGROUND)) }
    }

    /// For how long a claim holds unless it is renewed.
    pub(crate) fn lease(&self) -> Duration {
        self.lease
    }

    /// Asks the store for a claim.
    pub(super) async fn ask(
        &self,
        key: &Key,
        fingerprint: Fingerprint,
        nonce: Nonce,
    ) -> Result<ClaimAnswer, StoreError> {
        let request = ClaimRequest::new(key, fingerprint, nonce, self.lease, self.retention);
        self.bounded(|| self.store.claim(request)).await
    }

    /// Withdraws in the background what a claim may have left whose answer was lost, so that the
    /// event need not wait for its lease.
    pub(crate) fn withdraw(self: &Arc<Self>, key: &Key, nonce: Nonce) {
        let (claims, key) = (Arc::clone(self), key.clone());
        self.in_background(async move {
            // Where this fails too, the lease lapses.
            let _ = tried(|| claims.bounded(|| claims.store.withdraw(&key, nonce))).await;
        });
    }

    pub(super) async fn renew(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.bounded(|| self.store.renew(key, token, self.lease)).await
    }

    pub(super) async fn complete(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.bounded(|| self.store.complete(key, token, self.retention)).await
    }

    pub(super) async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.bounded(|| self.store.release(key, token)).await
    }

    pub(crate) async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.bounded(|| self.store.forget(key)).await
    }

    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        self.bounded(|| self.store.check()).await
    }

    /// Goes on with what nobody waits for. It is dropped where too much goes on already, or no
    /// runtime is there any more, as at the end of the process.
    pub(crate) fn in_background(&self, work: impl Future<Output = ()> + Send + 'static) {
        let permit = Arc::clone(&self.background).try_acquire_owned();
        if let (Ok(permit), Ok(runtime)) = (permit, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                work.await;
                drop(permit);
            });
        }
    }

    fn bounded<T, F>(&self, call: impl FnOnce() -> F) -> impl Future<Output = Result<T, StoreError>>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        bounded(self.timeout, "dedup store", call)
    }
}
