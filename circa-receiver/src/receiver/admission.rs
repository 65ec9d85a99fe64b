//! The first half of a delivery's task: whether it may run its handler, or what it is answered
//! instead (contract, section 7).
//!
//! 1. a run of the same event in this process is waited for (`duplicate`), before any store is
//!    asked;
//! 2. a permit among the handlers that may run at once;
//! 3. the claim, retried by its nonce while the store is away for a moment;
//! 4. a claim that is held elsewhere is asked for again (`duplicate`), at most until the ack
//!    deadline.

use std::sync::Arc;

use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::config::StoreFailure;
use super::duplicate::Duplicate;
use super::shared::Shared;
use crate::answer::{Outcome, Rejection};
use crate::dedup::{Claim, Claimed, Fingerprint, Key, Nonce};
use crate::error::StoreError;
use crate::event::Delivery;
use crate::observe::StoreOperation;
use crate::run::{Entry, Visit};

/// A delivery on its way to its claim.
pub(super) struct Admission<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) delivery: &'a Delivery,
    pub(super) ack_deadline: Instant,
    pub(super) key: Key,
    pub(super) fingerprint: Fingerprint,
}

/// The right to run the handler.
pub(super) struct Permission {
    /// `None` where the store is away and the user chose to run without dedup.
    pub(super) claim: Option<Arc<Claim>>,
    /// Of the handlers that may run at once.
    pub(super) permit: OwnedSemaphorePermit,
}

impl Admission<'_> {
    /// The permission, or what the sender is answered.
    pub(super) async fn decide(&self, visit: &mut Visit) -> Result<Permission, Outcome> {
        let mut nonce = Nonce::fresh();
        let mut duplicate = Duplicate::new(self.shared, self.delivery, self.ack_deadline);
        loop {
            duplicate.wait_for_run_here(&self.key, self.fingerprint).await?;
            let permit = Arc::clone(&self.shared.run_permits).try_acquire_owned();
            let permit = permit.map_err(|_| self.shared.reject(self.delivery.endpoint(), Rejection::Overloaded))?;
            let asked = Instant::now();
            let claim = match self.claim(nonce).await {
                Ok(Claimed::Won(claim)) if asked.elapsed() >= self.shared.claims.lease() => {
                    // The answer came later than the lease, which may have lapsed. Claiming again
                    // with the same nonce renews it.
                    claim.leave();
                    continue;
                }
                Ok(Claimed::Won(claim)) => Some(Arc::new(claim)),
                Ok(Claimed::Done { same_body }) => return Err(duplicate.of_done(same_body)),
                Ok(Claimed::InProgress { retry_after }) => {
                    drop(permit);
                    duplicate.wait_for_store(retry_after).await?;
                    continue;
                }
                Err(_) => {
                    self.shared.claims.withdraw(&self.key, nonce);
                    match self.shared.store_failure {
                        StoreFailure::RunWithoutDedup => None,
                        StoreFailure::Refuse => {
                            return Err(self.shared.reject(self.delivery.endpoint(), Rejection::StoreUnavailable));
                        }
                    }
                }
            };
            match visit.run(&self.key, self.fingerprint) {
                Entry::Registered => return Ok(Permission { claim, permit }),
                // Another delivery of this event started here while the store was away: it is
                // waited for. The next claim has a fresh nonce: the withdrawal above, which goes on
                // in the background, must not undo it.
                Entry::AlreadyRuns => nonce = Nonce::fresh(),
                Entry::IntakeStopped => {
                    self.shared.release(self.delivery, claim.as_deref()).await;
                    return Err(self.shared.reject(self.delivery.endpoint(), Rejection::ShuttingDown));
                }
            }
        }
    }

    /// Asks for the claim, again and again while the store is away for a moment.
    async fn claim(&self, nonce: Nonce) -> Result<Claimed, StoreError> {
        let call = || self.shared.claims.claim(&self.key, self.fingerprint, nonce);
        self.shared.retry(self.delivery, StoreOperation::Claim, self.ack_deadline, call).await
    }
}
