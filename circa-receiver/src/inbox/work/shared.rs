//! What a worker and its runs share.

use std::{
    collections::HashMap,
    iter,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::handler::StoredHandler;
use super::health::{Change, Health};
use super::permit::RunPermit;
use super::policy::Limits;
use crate::error::StoreError;
use crate::handler::Routes;
use crate::inbox::calls::Calls;
use crate::inbox::entry::Entry;
use crate::inbox::lease::{Interest, Leased, covers_endpoint};
use crate::inbox::settlement::Settlement;
use crate::observe::{Observers, StoreOperation};
use crate::run::{Keeper, Running};

pub(super) struct Shared {
    pub(super) calls: Calls,
    /// The worker's name, in the inbox.
    pub(super) name: String,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) concurrency: u32,
    pub(super) permits: Arc<Semaphore>,
    /// A run of a type with a limit of its own has ended.
    pub(super) freed: Arc<Notify>,
    /// How often the inbox was asked for events.
    pub(super) turns: AtomicUsize,
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) dead_letter_retention: Option<Duration>,
    pub(super) drops_bodies: bool,
    /// By type.
    pub(super) policies: HashMap<String, Limits>,
    /// Of all other types.
    pub(super) limits: Limits,
    pub(super) drain_deadline: Duration,
    pub(super) keeper: Keeper,
    pub(super) running: Arc<Running>,
    pub(super) observers: Arc<Observers>,
    pub(super) health: Mutex<Health>,
}

/// An endpoint, and what is run for its events.
pub(super) struct Endpoint {
    pub(super) name: Arc<str>,
    pub(super) routes: Routes<StoredHandler>,
    /// Its tenants' events are run too.
    pub(super) has_tenants: bool,
    /// The types of which no more than so many run at once.
    pub(super) limited: Vec<(String, Arc<Semaphore>)>,
}

impl Endpoint {
    /// The events that its handlers take now: of each type that is limited as many as there is room
    /// for, and those of all other types.
    fn interests(&self) -> impl Iterator<Item = Interest> {
        let limited = self.limited.iter().map(|(event_type, permits)| {
            Interest::of_types(&self.name, vec![event_type.clone()]).at_most(permits.available_permits())
        });
        let is_nothing = |interest: &Interest| interest.limit() == 0 || interest.types().is_some_and(<[_]>::is_empty);
        let interests = iter::once(self.unlimited()).chain(limited).filter(move |interest| !is_nothing(interest));
        interests.map(|interest| if self.has_tenants { interest.with_tenants() } else { interest })
    }

    fn unlimited(&self) -> Interest {
        if self.routes.has_fallback() {
            return Interest::all_but(&self.name, self.limited.iter().map(|(limited, _)| limited.clone()).collect());
        }
        let types = self.routes.types().filter(|event_type| self.limit(event_type).is_none());
        Interest::of_types(&self.name, types.map(ToOwned::to_owned).collect())
    }

    /// Whether an endpoint is this one, or that of one of its tenants.
    fn covers(&self, endpoint: &str) -> bool {
        covers_endpoint(&self.name, self.has_tenants, endpoint)
    }

    fn limit(&self, event_type: &str) -> Option<&Arc<Semaphore>> {
        self.limited.iter().find(|(limited, _)| limited == event_type).map(|(_, permits)| permits)
    }
}

impl Shared {
    /// What the inbox is asked for now. Each interest comes first in its turn, so that one with
    /// many events does not keep the others waiting.
    pub(super) fn interests(&self) -> Vec<Interest> {
        let mut interests: Vec<Interest> = self.endpoints.iter().flat_map(Endpoint::interests).collect();
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let first = turn.checked_rem(interests.len()).unwrap_or(0);
        interests.rotate_left(first);
        interests
    }

    /// Ends a run in the inbox; `false` where its lease is not held any more.
    pub(super) async fn settle(&self, leased: &Leased, settlement: Settlement) -> Result<bool, StoreError> {
        let started = Instant::now();
        let settled = self.calls.settle(leased.lease(), settlement).await;
        let (endpoint, operation, elapsed) = (leased.entry().endpoint(), StoreOperation::Settle, started.elapsed());
        self.observers.tell(|observer| observer.store_called(endpoint, operation, elapsed));
        self.note_answer(operation, settled.as_ref().err());
        settled
    }

    /// Notes whether the inbox answered, and tells where that has changed.
    pub(super) fn note_answer(&self, operation: StoreOperation, error: Option<&StoreError>) {
        let change = self.health.lock().unwrap_or_else(PoisonError::into_inner).note(operation, error.is_some());
        match (change, error) {
            (Some(Change::Away), Some(error)) => {
                self.observers.tell(|observer| observer.inbox_unavailable(&self.name, error));
            }
            (Some(Change::Back), _) => self.observers.tell(|observer| observer.inbox_available(&self.name)),
            _ => {}
        }
    }

    pub(super) fn is_away(&self) -> bool {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).is_away()
    }

    pub(super) fn handler(&self, entry: &Entry) -> Option<&StoredHandler> {
        self.endpoint(entry.endpoint())?.routes.find(entry.event_type())
    }

    pub(super) fn limits(&self, entry: &Entry) -> Limits {
        self.policies.get(entry.event_type()).copied().unwrap_or(self.limits)
    }

    /// What the run of an event takes of the worker; `None` where its type is at its limit.
    pub(super) fn permit(&self, entry: &Entry, of_worker: OwnedSemaphorePermit) -> Option<RunPermit> {
        let of_type = match self.endpoint(entry.endpoint()).and_then(|endpoint| endpoint.limit(entry.event_type())) {
            Some(permits) => Some(Arc::clone(permits).try_acquire_owned().ok()?),
            None => None,
        };
        Some(RunPermit::new(of_worker, of_type, Arc::clone(&self.freed)))
    }

    /// The endpoint with this name, or whose tenant has it.
    pub(super) fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        let exact = self.endpoints.iter().find(|endpoint| *endpoint.name == *name);
        exact.or_else(|| self.endpoints.iter().find(|endpoint| endpoint.covers(name)))
    }
}
