//! What all clones of a receiver share.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::config::{Mode, StoreFailure};
use super::running::Running;
use crate::clock::Clock;
use crate::dedup::Claims;
use crate::handler::DeadLetterSink;
use crate::observe::ConfigWarning;
use crate::observe::Observer;
use crate::verify::Verifier;

pub(crate) struct Shared {
    pub(crate) verifier: Verifier,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) endpoint: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) max_event_age: Option<Duration>,
    pub(crate) body_limit: usize,
    pub(crate) read_deadline: Duration,
    pub(crate) ack_deadline: Duration,
    pub(crate) drain_deadline: Duration,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) claims: Arc<Claims>,
    pub(crate) store_failure: StoreFailure,
    pub(crate) dead_letters: Option<Arc<dyn DeadLetterSink>>,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    pub(crate) running: Arc<Running>,
    pub(crate) warnings: Vec<ConfigWarning>,
}

impl Shared {
    pub(crate) fn observe(&self, tell: impl Fn(&dyn Observer)) {
        for observer in &self.observers {
            tell(&**observer);
        }
    }
}
