//! What a worker and its runs share.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::backoff::Backoff;
use super::handler::StoredHandler;
use crate::handler::Routes;
use crate::inbox::calls::Calls;
use crate::inbox::entry::Entry;
use crate::inbox::lease::Interest;
use crate::observe::Observers;
use crate::run::{Keeper, Running};

pub(super) struct Shared {
    pub(super) calls: Calls,
    /// The worker's name, in the inbox.
    pub(super) name: String,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) interests: Vec<Interest>,
    pub(super) concurrency: u32,
    pub(super) permits: Arc<Semaphore>,
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) handler_timeout: Duration,
    pub(super) max_attempts: u32,
    pub(super) backoff: Backoff,
    pub(super) drain_deadline: Duration,
    pub(super) keeper: Keeper,
    pub(super) running: Arc<Running>,
    pub(super) observers: Arc<Observers>,
    /// The last lease failed.
    pub(super) is_away: AtomicBool,
}

/// An endpoint, and what is run for its events.
pub(super) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) routes: Routes<StoredHandler>,
}

impl Endpoint {
    /// The events that its handlers take.
    pub(super) fn interest(&self) -> Interest {
        if self.routes.has_fallback() {
            return Interest::all(&self.name);
        }
        Interest::of_types(&self.name, self.routes.types().map(ToOwned::to_owned).collect())
    }
}

impl Shared {
    pub(super) fn handler(&self, entry: &Entry) -> Option<&StoredHandler> {
        let endpoint = self.endpoints.iter().find(|endpoint| *endpoint.name == *entry.endpoint())?;
        endpoint.routes.find(entry.event_type())
    }
}
