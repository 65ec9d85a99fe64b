//! The settings of a worker.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::backoff::Backoff;
use super::defaults;
use super::error::WorkerError;
use super::handler::StoredHandler;
use super::policy::{Limits, RunPolicy};
use super::shared::{Endpoint, Shared};
use super::worker::Worker;
use crate::handler::{PortableHandler, Routes};
use crate::inbox::calls::Calls;
use crate::inbox::store::Inbox;
use crate::observe::{Observer, Observers};
use crate::run::{Keeper, Running};
use crate::sender::Sender;

/// Builds a [`Worker`].
#[must_use]
pub struct WorkerBuilder {
    inbox: Arc<dyn Inbox>,
    name: String,
    endpoints: Vec<(Endpoint, Sender)>,
    has_tenants: bool,
    concurrency: usize,
    lease: Duration,
    retention: Duration,
    dead_letter_retention: Option<Duration>,
    drops_bodies: bool,
    limits: Limits,
    policies: HashMap<String, RunPolicy>,
    call_timeout: Duration,
    drain_deadline: Duration,
    observers: Vec<Arc<dyn Observer>>,
    /// Of the receiver whose events are run: `shutdown` of the one stops the other.
    shared_with: Option<(Arc<Running>, Arc<Observers>)>,
}

impl Worker {
    /// Builds a worker of an inbox, for a process of its own.
    /// [`Receiver::worker`](crate::Receiver::worker) makes one that runs beside a receiver.
    pub fn builder(inbox: impl Inbox) -> WorkerBuilder {
        WorkerBuilder::new(Arc::new(inbox))
    }
}

impl WorkerBuilder {
    fn new(inbox: Arc<dyn Inbox>) -> Self {
        Self {
            inbox,
            name: name_of_process(),
            endpoints: Vec::new(),
            has_tenants: false,
            concurrency: defaults::CONCURRENCY,
            lease: defaults::LEASE,
            retention: defaults::RETENTION,
            dead_letter_retention: None,
            drops_bodies: false,
            limits: Limits {
                handler_timeout: defaults::HANDLER_TIMEOUT,
                max_attempts: defaults::MAX_ATTEMPTS,
                backoff: Backoff { first: defaults::BACKOFF, most: defaults::MAX_BACKOFF },
            },
            policies: HashMap::new(),
            call_timeout: defaults::CALL_TIMEOUT,
            drain_deadline: defaults::DRAIN_DEADLINE,
            observers: Vec::new(),
            shared_with: None,
        }
    }

    /// A worker that stops with a receiver, and tells its observers.
    pub(crate) fn of_receiver(calls: &Calls, running: &Arc<Running>, observers: &Arc<Observers>) -> Self {
        let shared_with = Some((Arc::clone(running), Arc::clone(observers)));
        Self { shared_with, call_timeout: calls.timeout(), ..Self::new(Arc::clone(calls.inbox())) }
    }

    /// Runs the events of an endpoint with portable handlers and their state. Events of other types
    /// are left in the inbox.
    pub fn endpoint<S: Clone + Send + Sync + 'static>(
        self,
        name: &str,
        sender: Sender,
        routes: Routes<PortableHandler<S>>,
        state: S,
    ) -> Self {
        self.stored(name, sender, routes.map(|handler| StoredHandler::portable(handler, state.clone())))
    }

    /// As [`WorkerBuilder::endpoint`], with handlers of a framework: for adapters.
    pub fn stored(mut self, name: &str, sender: Sender, routes: Routes<StoredHandler>) -> Self {
        let endpoint = Endpoint { name: name.into(), routes, has_tenants: self.has_tenants, limited: Vec::new() };
        self.endpoints.push((endpoint, sender));
        self
    }

    /// The endpoints that are added from now on have tenants, as those of
    /// [`Receiver::circa_for`](crate::Receiver::circa_for), and their events are run too. A worker
    /// that such a receiver makes has this setting already.
    pub fn with_tenants(mut self) -> Self {
        self.has_tenants = true;
        self
    }

    /// The worker's name, which the inbox keeps with each run; `HOSTNAME` and the process id by
    /// default.
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// How many handlers run at once; 16 by default.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers;
        self
    }

    /// For how long an event stays with a worker whose process has ended; 60 s by default. It is
    /// renewed at a third while the handler runs.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a handled event is remembered; 72 h by default. Keep it above the sender's retry
    /// span: 112,350 s for Circa.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Removes dead letters of the worker's endpoints so long after their arrival, whatever has
    /// buried them. By default they stay until an operator replays or discards them.
    pub fn dead_letter_retention(mut self, retention: Duration) -> Self {
        self.dead_letter_retention = Some(retention);
        self
    }

    /// Drops the body of an event once it is handled. By default it is kept for the retention, so
    /// that an operator can look at it. The event is remembered all the same.
    pub fn drop_handled_bodies(mut self) -> Self {
        self.drops_bodies = true;
        self
    }

    /// How long a handler may run; 10 minutes by default. Then it is dropped, and the attempt has
    /// failed.
    pub fn handler_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handler_timeout = timeout;
        self
    }

    /// How many attempts an event has before it is dead; 20 by default.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.limits.max_attempts = attempts;
        self
    }

    /// How long a failed event waits: after failure n a random time between 0 and the smaller of
    /// `first` x 2^n and `most`; 5 s and 1 h by default.
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.limits.backoff = Backoff { first, most };
        self
    }

    /// How the events of one type are run, where that differs from the others: how many at once,
    /// how long, how often.
    ///
    /// ```
    /// # use circa_receiver::{AnyEvent, Routes, Sender, Worker, inbox::RunPolicy, testing::MemoryInbox};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), circa_receiver::BoxError> {
    /// # let (inbox, routes) = (MemoryInbox::default(), Routes::new().fallback(async |_: AnyEvent, (): ()| Ok(())));
    /// let worker = Worker::builder(inbox)
    ///     .endpoint("circularo", Sender::CIRCULARO, routes, ())
    ///     .policy_of("documentCompleted", RunPolicy::new().concurrency(2).max_attempts(5))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn policy_of(mut self, event_type: &str, policy: RunPolicy) -> Self {
        self.policies.insert(event_type.to_owned(), policy);
        self
    }

    /// How long one call of the inbox may take; 2 s by default, or as its receiver's store timeout.
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// How long [`Worker::shutdown`] lets handlers run; 20 s by default, or as its receiver's drain
    /// deadline, which [`Receiver::shutdown`](crate::Receiver::shutdown) keeps to.
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.drain_deadline = deadline;
        self
    }

    /// Adds an observer; several may watch. A worker of a receiver tells the receiver's observers,
    /// and not these.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Builds the worker. Leases are renewed on the runtime in which this is called.
    ///
    /// # Errors
    ///
    /// [`WorkerError`] for settings that cannot be right, with what to do.
    pub fn build(self) -> Result<Worker, WorkerError> {
        self.refuse_nonsense()?;
        let (running, observers) = self
            .shared_with
            .unwrap_or_else(|| (Arc::default(), Arc::new(Observers::new(self.observers, self.name.as_str().into()))));
        let limits = Limits { handler_timeout: self.limits.handler_timeout.min(defaults::FOREVER), ..self.limits };
        let mut endpoints: Vec<Endpoint> = self.endpoints.into_iter().map(|(endpoint, _)| endpoint).collect();
        for endpoint in &mut endpoints {
            endpoint.limited = limited(&endpoint.routes, &self.policies);
            let types: Vec<&str> = endpoint.routes.types().collect();
            observers.tell(|observer| {
                observer.routed(&endpoint.name, &types);
                observer.worker_configured(&self.name, &endpoint.name);
            });
        }
        let concurrency = u32::try_from(self.concurrency.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Ok(Worker::from(Shared {
            calls: Calls::new(self.inbox, self.call_timeout),
            name: self.name,
            endpoints,
            concurrency,
            permits: Arc::new(Semaphore::new(concurrency as usize)),
            freed: Arc::default(),
            turns: AtomicUsize::new(0),
            lease: self.lease.min(defaults::FOREVER),
            retention: self.retention.min(defaults::FOREVER),
            dead_letter_retention: self.dead_letter_retention,
            drops_bodies: self.drops_bodies,
            policies: self.policies.into_iter().map(|(name, policy)| (name, policy.over(limits))).collect(),
            limits,
            drain_deadline: self.drain_deadline.min(defaults::FOREVER),
            keeper: Keeper::new(),
            running,
            observers,
            health: Mutex::default(),
        }))
    }

    fn refuse_nonsense(&self) -> Result<(), WorkerError> {
        let zero = [
            ("the number of handlers that run at once", self.concurrency == 0),
            ("the number of attempts", self.limits.max_attempts == 0),
            ("the time limit of a handler", self.limits.handler_timeout.is_zero()),
            ("the call timeout", self.call_timeout.is_zero()),
            ("the retention", self.retention.is_zero()),
            ("the retention of dead letters", self.dead_letter_retention.is_some_and(|retention| retention.is_zero())),
        ];
        let zero = zero.into_iter().find(|(_, is_zero)| *is_zero).map(|(what, _)| what);
        if let Some(what) = zero.or_else(|| self.policies.values().find_map(RunPolicy::zero)) {
            return Err(WorkerError::Zero(what));
        }
        if self.lease < 3 * self.call_timeout.min(defaults::FOREVER) {
            return Err(WorkerError::Lease);
        }
        for (at, (Endpoint { name, routes, .. }, sender)) in self.endpoints.iter().enumerate() {
            if self.endpoints[..at].iter().any(|(other, _)| other.name == *name) {
                return Err(WorkerError::EndpointTwice(name.to_string()));
            }
            routes.check(*sender).map_err(|error| WorkerError::Routes { endpoint: name.to_string(), error })?;
        }
        let is_routed = |event_type: &&String| {
            self.endpoints.iter().any(|(endpoint, _)| endpoint.routes.find(event_type).is_some())
        };
        if let Some(event_type) = self.policies.keys().find(|event_type| !is_routed(event_type)) {
            return Err(WorkerError::UnroutedPolicy(event_type.clone()));
        }
        if self.endpoints.is_empty() { Err(WorkerError::NoEndpoint) } else { Ok(()) }
    }
}

/// The types that these routes take, and of which no more than so many may run at once.
fn limited(routes: &Routes<StoredHandler>, policies: &HashMap<String, RunPolicy>) -> Vec<(String, Arc<Semaphore>)> {
    let routed = policies.iter().filter(|(event_type, _)| routes.find(event_type).is_some());
    let limited = routed.filter_map(|(event_type, policy)| Some((event_type, policy.concurrency?)));
    limited
        .map(|(event_type, handlers)| {
            (event_type.clone(), Arc::new(Semaphore::new(handlers.min(Semaphore::MAX_PERMITS))))
        })
        .collect()
}

fn name_of_process() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "process".to_owned());
    format!("{host}:{}", std::process::id())
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
