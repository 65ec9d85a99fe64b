//! The first half of a delivery's task: whether it may run its handler, or what it is answered instead (contract, section
//! 7).
//!
//! 1. a run of the same event in this process is waited for, before any store is asked;
//! 2. a permit among the handlers that may run at once;
//! 3. the claim, repeated by its nonce while the store is away for a moment;
//! 4. a claim that is held elsewhere is asked for again, at most until the ack deadline.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, SemaphorePermit},
    time::{Instant, sleep, timeout_at},
};

use super::config::StoreFailure;
use super::defaults::POLL_PAUSES;
use super::shared::Shared;
use crate::answer::{Outcome, Rejection};
use crate::dedup::{Claim, Claimed, Fingerprint, Key, Nonce};
use crate::error::StoreError;
use crate::event::Delivery;
use crate::observe::StoreOperation;
use crate::run::{Ending, Entry, Visit};

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
        let mut pause = POLL_PAUSES.0;
        loop {
            if let Some(outcome) = self.outcome_of_run_here().await? {
                return Err(outcome);
            }
            let permit = Arc::clone(&self.shared.run_permits).try_acquire_owned();
            let permit = permit.map_err(|_| self.shared.reject(Rejection::Overloaded))?;
            let asked = Instant::now();
            let claim = match self.claim(nonce).await {
                Ok(Claimed::Won(claim)) if asked.elapsed() >= self.shared.claims.lease() => {
                    // The process stood still and the lease may have lapsed: claimed once more by its nonce, it is renewed.
                    claim.leave();
                    continue;
                }
                Ok(Claimed::Won(claim)) => Some(Arc::new(claim)),
                Ok(Claimed::Done { same_body }) => return Err(self.duplicate(same_body)),
                Ok(Claimed::InProgress { retry_after }) => {
                    drop(permit);
                    self.wait_for_store(retry_after, &mut pause).await?;
                    continue;
                }
                Err(_) => {
                    self.shared.claims.withdraw(&self.key, nonce);
                    match self.shared.store_failure {
                        StoreFailure::RunWithoutDedup => None,
                        StoreFailure::Refuse => return Err(self.shared.reject(Rejection::StoreUnavailable)),
                    }
                }
            };
            match visit.run(&self.key, self.fingerprint) {
                Entry::Registered => return Ok(Permission { claim, permit }),
                // Another delivery came first while the store was away: it is waited for. What is given up in the background
                // under this nonce must not be what is claimed next.
                Entry::AlreadyRuns => nonce = Nonce::fresh(),
                Entry::IntakeStopped => {
                    self.shared.release(self.delivery, claim.as_deref()).await;
                    return Err(self.shared.reject(Rejection::ShuttingDown));
                }
            }
        }
    }

    /// Asks for the claim, again and again while the store is away for a moment.
    async fn claim(&self, nonce: Nonce) -> Result<Claimed, StoreError> {
        let call = || self.shared.claims.claim(&self.key, self.fingerprint, nonce);
        self.shared.repeat(self.delivery, StoreOperation::Claim, self.ack_deadline, call).await
    }

    /// Waits for a run of the same event in this process, if there is one, and tells how this delivery is answered.
    async fn outcome_of_run_here(&self) -> Result<Option<Outcome>, Outcome> {
        let Some(run) = self.shared.running.find(&self.key, self.fingerprint) else { return Ok(None) };
        let _permit = self.wait_permit()?;
        let same_body = run.same_body;
        let ended = Box::pin(self.or_end_of_drain(timeout_at(self.ack_deadline, run.ended()))).await?;
        match ended {
            Err(_) => Err(Outcome::Unfinished),
            Ok(Ending::Vanished) => Ok(None),
            Ok(Ending::Outcome(Outcome::Handled | Outcome::DeadLettered)) => Ok(Some(self.duplicate(same_body))),
            Ok(Ending::Outcome(outcome)) => {
                self.shared.observe(|observer| observer.waited_in_vain(self.delivery, outcome, same_body));
                Ok(Some(outcome))
            }
        }
    }

    /// Waits until the store may be asked again.
    async fn wait_for_store(&self, retry_after: Duration, pause: &mut Duration) -> Result<(), Outcome> {
        let _permit = self.wait_permit()?;
        // A lease that is about to lapse may yet be renewed: the store is not asked again at once.
        let lapses = if retry_after < POLL_PAUSES.0 { *pause } else { retry_after };
        let wait = sleep((*pause).min(lapses));
        *pause = (2 * *pause).min(POLL_PAUSES.1);
        let waited = Box::pin(self.or_end_of_drain(timeout_at(self.ack_deadline, wait))).await?;
        waited.map_err(|_| Outcome::Unfinished)
    }

    /// Copies of events that run already must not keep all places from other events.
    fn wait_permit(&self) -> Result<SemaphorePermit<'_>, Outcome> {
        self.shared.wait_permits.try_acquire().map_err(|_| Outcome::Unfinished)
    }

    async fn or_end_of_drain<T>(&self, wait: impl Future<Output = T>) -> Result<T, Outcome> {
        tokio::select! {
            biased;
            waited = wait => Ok(waited),
            () = self.shared.running.drain_ended() => Err(self.shared.reject(Rejection::ShuttingDown)),
        }
    }

    fn duplicate(&self, same_body: bool) -> Outcome {
        self.shared.observe(|observer| observer.duplicate(self.delivery, same_body));
        Outcome::Duplicate
    }
}
