//! From the settings to a receiver: what is refused, and what is made.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::builder::{ReceiverBuilder, Tolerance};
use super::config::{ConfigError, Mode, StoreFailure};
use super::defaults;
use super::diagnosing::Diagnosing;
use super::notices::Notices;
use super::readers::Readers;
use super::receive::Receiver;
use super::shared::Shared;
use super::tenants::Tenants;
use crate::dedup::{Claims, MemoryStore};
use crate::inbox::Calls;
use crate::observe::{ConfigWarning, Observers};
use crate::run::{Keeper, Running};
use crate::sender::Sender;
use crate::verify::Verifier;

impl ReceiverBuilder {
    /// Builds the receiver.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for settings that cannot be right, with what to do.
    pub fn build(self) -> Result<Receiver, ConfigError> {
        self.check()?;
        let verifier = self.verifier()?;
        let (tenants, warnings) = (self.tenants()?, self.warnings());
        let secrets = self.secrets.filter(|_| !self.observers.is_empty());
        let diagnosing = secrets.clone().map(|secrets| Diagnosing::new(self.sender, secrets, self.known_secrets));
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::default().clock(Arc::clone(&self.clock))));
        let (lease, retention) = (self.lease.min(defaults::FOREVER), self.retention.min(defaults::FOREVER));
        let observers = Arc::new(Observers::new(self.observers, Arc::clone(&self.endpoint)));
        let shared = Shared {
            verifier,
            tenants,
            clock: self.clock,
            endpoint: self.endpoint,
            mode: self.mode,
            max_event_age: self.max_event_age,
            body_limit: self.body_limit,
            read_deadline: self.read_deadline.min(self.ack_deadline),
            ack_deadline: self.ack_deadline,
            drain_deadline: self.drain_deadline.min(defaults::FOREVER),
            places: permits(self.max_in_flight),
            wait_permits: permits((self.max_in_flight / defaults::WAITING_SHARE).max(1)),
            run_permits: permits(self.max_running),
            run_timeout: self.run_timeout.min(defaults::FOREVER),
            readers: Arc::new(Readers::new(self.max_readers, self.max_reader_bytes)),
            claims: Arc::new(Claims::new(store, self.store_timeout, lease, retention)),
            keeper: Keeper::new(),
            retention,
            inbox: self.inbox.map(|inbox| Calls::new(inbox, self.store_timeout)),
            answer_when_handled: self.answer_when_handled,
            store_failure: self.store_failure,
            dead_letters: self.dead_letters,
            observers,
            diagnosing,
            notices: Notices::default(),
            running: Arc::new(Running::default()),
            warnings,
        };
        shared.tell_configuration(secrets.as_ref());
        for warning in &shared.warnings {
            shared.observe(|observer| observer.config_warning(&shared.endpoint, *warning));
        }
        Ok(Receiver(Arc::new(shared)))
    }

    /// Refuses settings that cannot be right.
    fn check(&self) -> Result<(), ConfigError> {
        let is_circularo = self.sender == Sender::CIRCULARO;
        // What an inbox does is not done a second time beside it.
        let has_inbox = self.inbox.is_some();
        let faults = [
            (self.body_limit == 0, ConfigError::Zero("the body limit")),
            (self.max_in_flight == 0, ConfigError::Zero("the number of deliveries in flight")),
            (self.max_readers == 0, ConfigError::Zero("the number of bodies that are waited for")),
            (self.max_reader_bytes == 0, ConfigError::Zero("the memory of bodies that are waited for")),
            (self.max_running == 0, ConfigError::Zero("the number of running handlers")),
            (self.run_timeout.is_zero(), ConfigError::Zero("the time limit of a run")),
            (self.read_deadline.is_zero(), ConfigError::Zero("the read deadline")),
            (self.ack_deadline.is_zero(), ConfigError::Zero("the ack deadline")),
            (self.store_timeout.is_zero(), ConfigError::Zero("the store timeout")),
            (self.retention.is_zero(), ConfigError::Zero("the retention")),
            (self.ack_deadline >= defaults::SENDER_TIMEOUT, ConfigError::AckDeadline),
            (self.lease <= self.ack_deadline, ConfigError::Lease),
            (self.lease < 3 * self.store_timeout.min(defaults::FOREVER), ConfigError::LeaseBelowStoreTimeout),
            (self.endpoint.is_empty(), ConfigError::Endpoint),
            (is_circularo && self.tolerance.is_some(), ConfigError::NoSignedTime),
            (is_circularo && self.mode != Mode::Any, ConfigError::NoLivemode),
            (!is_circularo && self.max_event_age.is_some(), ConfigError::SignedTime),
            (has_inbox && self.store.is_some(), ConfigError::InboxAndDedup),
            (has_inbox && self.dead_letters.is_some(), ConfigError::InboxAndDeadLetters),
            (has_inbox && self.store_failure != StoreFailure::Refuse, ConfigError::InboxIsNeeded),
            (self.answer_when_handled && !has_inbox, ConfigError::NoInbox),
        ];
        faults.into_iter().find_map(|(holds, error)| holds.then_some(error)).map_or(Ok(()), Err)
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        let retry_span = Duration::from_secs(self.sender.spec().retry_span_seconds);
        let retention = (self.retention < retry_span).then_some(ConfigWarning::RetentionBelowRetrySpan);
        retention.into_iter().chain(self.secrets.iter().flat_map(ConfigWarning::of_secrets)).collect()
    }

    fn tenants(&self) -> Result<Option<Tenants>, ConfigError> {
        let Some(source) = self.source.clone() else { return Ok(None) };
        let (endpoint, clock) = (Arc::clone(&self.endpoint), Arc::clone(&self.clock));
        Ok(Some(Tenants::new(source, self.verifier()?, endpoint, clock, self.store_timeout, self.max_readers)))
    }

    fn verifier(&self) -> Result<Verifier, ConfigError> {
        let verifier = match &self.secrets {
            Some(secrets) => Verifier::new(self.sender, secrets),
            None if self.source.is_some() => Verifier::without_secrets(self.sender),
            None => return Ok(Verifier::dangerous_circularo_unsigned()),
        };
        Ok(match self.tolerance {
            None => verifier,
            Some(Tolerance::Checked(tolerance)) => verifier.tolerance(tolerance)?,
            Some(Tolerance::Dangerous(tolerance)) => verifier.dangerous_tolerance(tolerance),
        })
    }
}

fn permits(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}
