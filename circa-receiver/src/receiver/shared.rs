//! What all clones of a receiver share.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::config::{Mode, StoreFailure};
use super::diagnosing::Diagnosing;
use super::notices::Notices;
use super::readers::Readers;
use super::tenants::Tenants;
use crate::answer::{Outcome, Rejection};
use crate::clock::Clock;
use crate::dedup::{Claim, Claims};
use crate::error::StoreError;
use crate::event::Delivery;
use crate::handler::DeadLetterSink;
use crate::inbox::Calls;
use crate::observe::{ConfigWarning, Observer, Observers, StoreOperation};
use crate::run::{Keeper, Running};
use crate::verify::{SecretId, Secrets, Verifier};

pub(super) struct Shared {
    pub(super) verifier: Verifier,
    /// Where there are several, each has a verifier of its own.
    pub(super) tenants: Option<Tenants>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) endpoint: Arc<str>,
    pub(super) mode: Mode,
    pub(super) max_event_age: Option<Duration>,
    pub(super) body_limit: usize,
    pub(super) read_deadline: Duration,
    pub(super) ack_deadline: Duration,
    pub(super) drain_deadline: Duration,
    /// Of the authentic deliveries in flight.
    pub(super) places: Arc<Semaphore>,
    /// Of the deliveries that wait for another run of their event.
    pub(super) wait_permits: Arc<Semaphore>,
    /// Of the handlers that run.
    pub(super) run_permits: Arc<Semaphore>,
    pub(super) run_timeout: Duration,
    pub(super) readers: Arc<Readers>,
    pub(super) claims: Arc<Claims>,
    pub(super) keeper: Keeper,
    pub(super) retention: Duration,
    /// In place of claims and runs.
    pub(super) inbox: Option<Calls>,
    pub(super) answer_when_handled: bool,
    pub(super) store_failure: StoreFailure,
    pub(super) dead_letters: Option<Arc<dyn DeadLetterSink>>,
    pub(super) observers: Arc<Observers>,
    /// `None` where nobody observes, and on an unsigned receiver.
    pub(super) diagnosing: Option<Diagnosing>,
    pub(super) notices: Notices,
    pub(super) running: Arc<Running>,
    pub(super) warnings: Vec<ConfigWarning>,
}

impl Shared {
    /// Tells the observers.
    pub(super) fn observe(&self, tell: impl Fn(&dyn Observer)) {
        self.observers.tell(tell);
    }

    /// Notifies the observers of secrets that take the place of others.
    pub(super) fn tell_new_secrets(&self, secrets: &Secrets) {
        for warning in ConfigWarning::of_secrets(secrets) {
            self.observe(|observer| observer.config_warning(&self.endpoint, warning));
        }
        if let Some(diagnosing) = &self.diagnosing {
            diagnosing.replace_secrets(secrets);
        }
        self.tell_configuration(Some(secrets));
    }

    /// Notifies the observers of the secrets in force.
    pub(super) fn tell_configuration(&self, secrets: Option<&Secrets>) {
        let secrets: Vec<SecretId> = secrets.into_iter().flat_map(Secrets::iter).map(|(id, _)| id).collect();
        self.observe(|observer| observer.configured(&self.endpoint, self.verifier.sender(), &secrets));
    }

    /// Refuses a delivery of this endpoint: the receiver's, or the tenant's whose it is.
    pub(super) fn reject(&self, endpoint: &str, rejection: Rejection) -> Outcome {
        self.observe(|observer| observer.rejected(endpoint, rejection));
        Outcome::Rejected(rejection)
    }

    /// Gives a claim up.
    pub(super) async fn release(&self, delivery: &Delivery, claim: Option<&Claim>) {
        let Some(claim) = claim else { return };
        self.end_claim(delivery, claim, StoreOperation::Release, || claim.release()).await;
    }

    /// Completes or releases a claim, and tells the observers where it was lost. `false` where the
    /// store failed.
    pub(super) async fn end_claim<F>(
        &self,
        delivery: &Delivery,
        claim: &Claim,
        operation: StoreOperation,
        call: impl FnOnce() -> F,
    ) -> bool
    where
        F: Future<Output = Result<bool, StoreError>>,
    {
        let was_lost = claim.is_lost();
        match Box::pin(self.measured(operation, call)).await {
            Ok(held) => {
                if !held && !was_lost {
                    self.observe(|observer| observer.claim_lost(delivery));
                }
                true
            }
            Err(error) => {
                self.observe(|observer| observer.store_error(delivery, operation, &error));
                false
            }
        }
    }
}
