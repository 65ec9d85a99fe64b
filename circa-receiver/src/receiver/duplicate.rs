//! Where a duplicate waits: for a run of its event in this process, or for a claim that is held
//! elsewhere (contract, section 7).

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::SemaphorePermit,
    time::{Instant, sleep, timeout_at},
};

use super::defaults::POLL_PAUSES;
use super::shared::Shared;
use super::stay::Stay;
use crate::answer::{Outcome, Rejection};
use crate::dedup::{Fingerprint, Key};
use crate::event::Delivery;
use crate::observe::Stage;
use crate::run::Pauses;

/// A delivery whose event may be running already. It waits until its ack deadline at most, and not
/// beyond the drain.
pub(super) struct Duplicate<'a> {
    shared: &'a Arc<Shared>,
    delivery: &'a Delivery,
    ack_deadline: Instant,
    /// Before the store is asked again.
    pauses: Pauses,
}

impl<'a> Duplicate<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, delivery: &'a Delivery, ack_deadline: Instant) -> Self {
        Self { shared, delivery, ack_deadline, pauses: POLL_PAUSES }
    }

    /// Waits for a run of the same event in this process, if there is one, and says by its outcome
    /// what this delivery is answered. `Ok` where there is none, or it vanished: then the store is
    /// asked.
    pub(super) async fn wait_for_run_here(&self, key: &Key, fingerprint: Fingerprint) -> Result<(), Outcome> {
        let Some(run) = self.shared.running.find(key, fingerprint) else { return Ok(()) };
        let _permit = self.wait_permit()?;
        let same_body = run.same_body;
        let ended = Box::pin(self.or_end_of_drain(timeout_at(self.ack_deadline, run.ended()))).await?;
        match ended.map_err(|_| Outcome::Unfinished)? {
            None => Ok(()),
            Some(Outcome::Handled | Outcome::DeadLettered) => Err(self.of_done(same_body)),
            Some(outcome) => {
                self.shared.observe(|observer| observer.waited_in_vain(self.delivery, outcome, same_body));
                Err(outcome)
            }
        }
    }

    /// Waits until the store may be asked again whether another process still holds the claim.
    pub(super) async fn wait_for_store(&mut self, retry_after: Duration) -> Result<(), Outcome> {
        let pause = self.pauses.next();
        let _permit = self.wait_permit()?;
        // A lease that is about to lapse may yet be renewed: the store is not asked again at once.
        let lapses = if retry_after < POLL_PAUSES.peek() { pause } else { retry_after };
        let wait = sleep(pause.min(lapses));
        let waited = Box::pin(self.or_end_of_drain(timeout_at(self.ack_deadline, wait))).await?;
        waited.map_err(|_| Outcome::Unfinished)
    }

    /// The outcome for an event that was handled before.
    pub(super) fn of_done(&self, same_body: bool) -> Outcome {
        self.shared.observe(|observer| observer.duplicate(self.delivery, same_body));
        Outcome::Duplicate
    }

    async fn or_end_of_drain<T>(&self, wait: impl Future<Output = T>) -> Result<T, Outcome> {
        tokio::select! {
            biased;
            waited = wait => Ok(waited),
            () = self.shared.running.drain_ended() => Err(self.shared.reject(self.delivery.endpoint(), Rejection::ShuttingDown)),
        }
    }

    /// Duplicates must not keep all places from other events.
    fn wait_permit(&self) -> Result<(SemaphorePermit<'_>, Option<Stay>), Outcome> {
        let permit = self.shared.wait_permits.try_acquire().map_err(|_| Outcome::Unfinished)?;
        Ok((permit, self.shared.stay(Stage::Duplicate)))
    }
}
