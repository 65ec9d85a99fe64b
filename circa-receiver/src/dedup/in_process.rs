//! Stores that answer at once: called directly, nothing boxed, no timer set.

use std::time::Duration;

use async_trait::async_trait;

use super::{ClaimAnswer, ClaimRequest, DedupStore, Key, StoreError, Token};

/// A [`DedupStore`] in this process's memory: it never waits and never fails. Implement this instead, and it is a `DedupStore` too.
///
/// The operations are those of [`DedupStore`], and mean the same.
pub trait InProcessStore: Send + Sync + 'static {
    /// Claims a key: see [`DedupStore::claim`].
    fn claim(&self, request: ClaimRequest<'_>) -> ClaimAnswer;

    /// Prolongs the lease, from now. `false` if the claim has passed to another holder.
    fn renew(&self, key: &Key, token: Token, lease: Duration) -> bool;

    /// Marks the key done, for the retention from now. `false` if the claim has passed to another holder.
    fn complete(&self, key: &Key, token: Token, retention: Duration) -> bool;

    /// Gives the claim up. `false` if it has passed to another holder.
    fn release(&self, key: &Key, token: Token) -> bool;

    /// Forgets a key that is done. `false` if it was not done.
    fn forget(&self, key: &Key) -> bool;
}

#[async_trait]
impl<S: InProcessStore> DedupStore for S {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        Ok(InProcessStore::claim(self, request))
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        Ok(InProcessStore::renew(self, key, token, lease))
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        Ok(InProcessStore::complete(self, key, token, retention))
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        Ok(InProcessStore::release(self, key, token))
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        Ok(InProcessStore::forget(self, key))
    }

    fn in_process(&self) -> Option<&dyn InProcessStore> {
        Some(self)
    }
}
