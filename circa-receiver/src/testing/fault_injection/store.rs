//! The calls of a dedup store behind an injector.

use std::time::Duration;

use async_trait::async_trait;

use super::faulty::Faulty;
use super::injector::Asked;
use crate::dedup::{ClaimAnswer, ClaimRequest, DedupStore, Key, Nonce, Token};
use crate::error::StoreError;

#[async_trait]
impl<S: DedupStore> DedupStore for Faulty<S> {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let asked = Asked {
            operation: "claim",
            event_id: event_id(request.key()),
            did: |answer| matches!(answer, ClaimAnswer::Won(_)),
            killed: None,
        };
        self.injector.call(asked, self.inner.claim(request)).await
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        self.injector.call(fenced("renew", key), self.inner.renew(key, token, lease)).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        self.injector.call(fenced("complete", key), self.inner.complete(key, token, retention)).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.injector.call(fenced("release", key), self.inner.release(key, token)).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        self.injector.call(fenced("withdraw", key), self.inner.withdraw(key, nonce)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.injector.call(fenced("forget", key), self.inner.forget(key)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.injector.call(Asked::looking("check"), self.inner.check()).await
    }
}

fn fenced(operation: &'static str, key: &Key) -> Asked<bool> {
    Asked::fenced(operation, event_id(key))
}

/// The event's id in a key, behind the endpoint's length and name.
pub(super) fn event_id(key: &Key) -> String {
    let bytes = key.as_bytes();
    let (length, rest) = bytes.split_first_chunk().unwrap_or((&[0; 8], bytes));
    let endpoint = usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX);
    String::from_utf8_lossy(rest.get(endpoint..).unwrap_or_default()).into_owned()
}
