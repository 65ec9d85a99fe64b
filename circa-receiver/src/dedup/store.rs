//! The trait of a dedup store, and what is asked of it and answered.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::fingerprint::Fingerprint;
use super::key::Key;
use super::token::{Nonce, Token};
use crate::error::StoreError;

/// Where claims are kept. Every operation is one atomic step in the store.
///
/// The store's clock rules, never the caller's. A [`Token`] fences: `renew`, `complete` and
/// `release` do nothing, and say so, if the claim has since passed to another holder. Calls are
/// bounded in time by the receiver (default 2 s each) and may be dropped at any await.
#[async_trait]
pub trait DedupStore: Send + Sync + 'static {
    /// Claims a key: won if it is absent, its lease has lapsed, or the same delivery (its nonce)
    /// holds it already.
    ///
    /// What remains of an entry in progress is at most the lease that is asked for now, whatever
    /// clocks did meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store cannot tell; the delivery is then answered 503, unless the
    /// user chose otherwise.
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError>;

    /// Prolongs the lease, from now. `false` if the claim has passed to another holder.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError>;

    /// Marks the key done, for the retention from now. `false` if the claim has passed to another
    /// holder.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError>;

    /// Gives the claim up, so that the next delivery of the event can have it. `false` if it has
    /// passed to another holder.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError>;

    /// Withdraws what a claim of this delivery may have left, where its answer was lost: gives up
    /// the claim on the key that has this nonce, whatever its token. `false` if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError>;

    /// Forgets a key that is done, so that the event is handled again when it comes again. `false`
    /// if it was not done.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the store failed.
    async fn forget(&self, key: &Key) -> Result<bool, StoreError>;

    /// Whether the store can be reached and used, for health checks. A store that cannot fail need
    /// not implement it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it cannot.
    async fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A store that others hold too.
#[async_trait]
impl<S: DedupStore + ?Sized> DedupStore for Arc<S> {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        (**self).claim(request).await
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        (**self).renew(key, token, lease).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        (**self).complete(key, token, retention).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        (**self).release(key, token).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        (**self).withdraw(key, nonce).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        (**self).forget(key).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        (**self).check().await
    }
}

/// What a delivery asks of a store.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRequest<'a> {
    key: &'a Key,
    fingerprint: Fingerprint,
    nonce: Nonce,
    lease: Duration,
    retention: Duration,
}

impl<'a> ClaimRequest<'a> {
    /// A request for `key` by the delivery `nonce` with the body `fingerprint`, held for `lease`
    /// unless renewed; `retention` is how long the store will be asked to remember the key once it
    /// is done.
    pub fn new(key: &'a Key, fingerprint: Fingerprint, nonce: Nonce, lease: Duration, retention: Duration) -> Self {
        Self { key, fingerprint, nonce, lease, retention }
    }

    /// The key to claim.
    pub fn key(&self) -> &'a Key {
        self.key
    }

    /// The body's fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Which delivery asks.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// For how long the claim holds unless it is renewed.
    pub fn lease(&self) -> Duration {
        self.lease
    }

    /// For how long the store will be asked to remember the key once it is done.
    pub fn retention(&self) -> Duration {
        self.retention
    }
}

/// A store's answer to a claim.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClaimAnswer {
    /// The claim is the caller's, until the lease lapses.
    Won(Token),
    /// Another delivery holds it.
    InProgress {
        /// When the lease lapses at the latest, unless it is renewed.
        retry_after: Duration,
    },
    /// The event was handled before.
    Done {
        /// Whether it then had the same body.
        same_body: bool,
    },
}
