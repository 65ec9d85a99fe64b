//! The claim as a guard: completed, released, or, dropped without either, released in the
//! background.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::claims::Claims;
use super::fingerprint::Fingerprint;
use super::key::Key;
use super::store::ClaimAnswer;
use super::token::{Nonce, Token};
use super::tries::tried;
use crate::error::StoreError;

/// The pause between further tries in the background.
const BACKGROUND_PAUSE: Duration = Duration::from_secs(1);

/// What came of asking for a claim.
pub(crate) enum Claimed {
    Won(Claim),
    InProgress { retry_after: Duration },
    Done { same_body: bool },
}

impl Claims {
    /// Asks for a claim.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        key: &Key,
        fingerprint: Fingerprint,
        nonce: Nonce,
    ) -> Result<Claimed, StoreError> {
        Ok(match self.ask(key, fingerprint, nonce).await? {
            ClaimAnswer::Won(token) => Claimed::Won(Claim {
                claims: Arc::clone(self),
                key: key.clone(),
                token,
                held: AtomicBool::new(true),
                lost: AtomicBool::new(false),
            }),
            ClaimAnswer::InProgress { retry_after } => Claimed::InProgress { retry_after },
            ClaimAnswer::Done { same_body } => Claimed::Done { same_body },
        })
    }
}

/// The right to run the handler for one event.
pub(crate) struct Claim {
    claims: Arc<Claims>,
    key: Key,
    token: Token,
    /// It is neither completed nor released yet.
    held: AtomicBool,
    /// A renewal has found that it passed to another holder.
    lost: AtomicBool,
}

impl Claim {
    /// Prolongs the lease. `false` if the claim has passed to another holder.
    pub(crate) async fn renew(&self) -> Result<bool, StoreError> {
        let held = self.claims.renew(&self.key, self.token).await?;
        self.lost.store(!held, Ordering::Relaxed);
        Ok(held)
    }

    /// Whether a renewal has found that the claim passed to another holder.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Marks the event done, trying again briefly. `false` if the claim has passed to another
    /// holder. After an error it can be completed still, by [`Claim::complete_late`].
    pub(crate) async fn complete(&self) -> Result<bool, StoreError> {
        // Never released from here on: its handler has succeeded.
        self.held.store(false, Ordering::Relaxed);
        tried(|| self.claims.complete(&self.key, self.token)).await
    }

    /// Goes on trying to mark the event done, until a lease has passed.
    pub(crate) async fn complete_late(&self) {
        let lease_ends = Instant::now() + self.claims.lease();
        while Instant::now() < lease_ends {
            sleep(BACKGROUND_PAUSE).await;
            if self.claims.complete(&self.key, self.token).await.is_ok() {
                return;
            }
        }
    }

    /// Gives the claim up. `false` if it has passed to another holder.
    pub(crate) async fn release(&self) -> Result<bool, StoreError> {
        let released = self.claims.release(&self.key, self.token).await;
        // Only afterwards: a release that fails, or is itself dropped, is tried again in the
        // background.
        self.held.store(released.is_err(), Ordering::Relaxed);
        released
    }

    /// Leaves the claim as it is in the store.
    pub(crate) fn leave(self) {
        self.held.store(false, Ordering::Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if *self.held.get_mut() {
            let (claims, key, token) = (Arc::clone(&self.claims), self.key.clone(), self.token);
            // Where this fails, or cannot be tried, the lease lapses.
            self.claims.in_background(async move {
                let _ = tried(|| claims.release(&key, token)).await;
            });
        }
    }
}
