//! The claim as a guard: completed, released, or, dropped without either, released in the background.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{ClaimAnswer, ClaimRequest, DedupStore, Fingerprint, Key, Nonce, StoreError, Token};

/// How often `complete` is tried after a handler succeeded, and the pauses between.
const COMPLETE_PAUSES: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500)];

/// Makes claims in a store, each call bounded in time.
pub(crate) struct Claims {
    pub(crate) store: Arc<dyn DedupStore>,
    pub(crate) timeout: Duration,
    pub(crate) lease: Duration,
    pub(crate) retention: Duration,
}

/// What came of asking for a claim.
pub(crate) enum Claimed {
    Won(Claim),
    InProgress { retry_after: Duration },
    Done { same_body: bool },
}

impl Claims {
    pub(crate) async fn claim(
        self: &Arc<Self>,
        key: &Key,
        fingerprint: Fingerprint,
        nonce: Nonce,
    ) -> Result<Claimed, StoreError> {
        let request = ClaimRequest::new(key, fingerprint, nonce, self.lease, self.retention);
        let answer = match self.store.in_process() {
            Some(store) => store.claim(request),
            None => Box::pin(self.bounded(self.store.claim(request))).await?,
        };
        Ok(match answer {
            ClaimAnswer::Won(token) => Claimed::Won(Claim {
                claims: Arc::clone(self),
                held: Some((key.clone(), token)),
                lost: AtomicBool::new(false),
            }),
            ClaimAnswer::InProgress { retry_after } => Claimed::InProgress { retry_after },
            ClaimAnswer::Done { same_body } => Claimed::Done { same_body },
        })
    }

    /// Gives up in the background what a claim may have left in the store whose answer was lost, so that the event need not wait for its lease.
    pub(crate) fn abandon(self: &Arc<Self>, key: &Key, fingerprint: Fingerprint, nonce: Nonce) {
        let (claims, key) = (Arc::clone(self), key.clone());
        tokio::spawn(async move {
            if let Ok(Claimed::Won(mut claim)) = claims.claim(&key, fingerprint, nonce).await {
                // Where this fails too, the lease lapses.
                let _ = claim.release().await;
            }
        });
    }

    /// Marks an event done, trying again briefly.
    async fn complete(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        let complete = || self.bounded(self.store.complete(key, token, self.retention));
        let mut completed = complete().await;
        for pause in COMPLETE_PAUSES {
            if completed.is_ok() {
                break;
            }
            tokio::time::sleep(pause).await;
            // Not held any more after an attempt whose answer was lost: that attempt has completed it.
            completed = complete().await.map(|_| true);
        }
        completed
    }

    pub(crate) async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.bounded(self.store.forget(key)).await
    }

    pub(crate) async fn check(&self) -> Result<(), StoreError> {
        self.bounded(self.store.check()).await
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.timeout, call).await.unwrap_or(Err(StoreError::Timeout))
    }
}

/// The right to run the handler for one event.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    /// `None` once it was completed or released.
    held: Option<(Key, Token)>,
    /// A renewal was told that it has passed to another holder.
    lost: AtomicBool,
}

impl Claim {
    /// Prolongs the lease. `false` if the claim has passed to another holder.
    pub(crate) async fn renew(&self) -> Result<bool, StoreError> {
        let Some((key, token)) = &self.held else { return Ok(false) };
        let held = self.claims.bounded(self.claims.store.renew(key, *token, self.claims.lease)).await?;
        self.lost.store(!held, Ordering::Relaxed);
        Ok(held)
    }

    /// Whether a renewal was told that the claim has passed to another holder.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Marks the event done, trying again briefly. `false` if the claim has passed to another holder.
    pub(crate) async fn complete(&mut self) -> Result<bool, StoreError> {
        let Some((key, token)) = self.held.take() else { return Ok(false) };
        self.claims.complete(&key, token).await
    }

    /// As [`Claim::complete`], where the store answers at once.
    pub(crate) fn complete_at_once(&mut self) -> Option<bool> {
        let store = self.claims.store.in_process()?;
        Some(self.held.take().is_some_and(|(key, token)| store.complete(&key, token, self.claims.retention)))
    }

    /// Gives the claim up. `false` if it has passed to another holder.
    pub(crate) async fn release(&mut self) -> Result<bool, StoreError> {
        // Taken only afterwards: a release that is itself dropped is tried once more in the background.
        let Some((key, token)) = &self.held else { return Ok(false) };
        let released = self.claims.bounded(self.claims.store.release(key, *token)).await;
        self.held = None;
        released
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some((key, token)) = self.held.take() else { return };
        // Without a runtime, as at the end of the process, the lease lapses by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let claims = Arc::clone(&self.claims);
            runtime.spawn(async move { claims.bounded(claims.store.release(&key, token)).await });
        }
    }
}
