//! The observer that counts and measures.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use metrics::gauge;

use super::endpoint::EndpointMetrics;
use super::names;
use crate::answer::Outcome;
use crate::clock::{Clock, SystemClock};
use crate::error::{BoxError, StoreError};
use crate::event::Delivery;
use crate::handler::HandlerError;
use crate::observe::observer::Observer;
use crate::observe::operation::StoreOperation;
use crate::observe::stage::Stage;
use crate::observe::stats::Stats;
use crate::sender::Sender;
use crate::verify::SecretId;

/// Counts and measures with the crate `metrics`; which names there are is in the project's
/// `docs/observing.md`.
///
/// Install a recorder before the receivers are built: every metric of an endpoint is made then, and
/// is there at 0 before its first delivery. All labels are closed sets. One observer can serve
/// several receivers: give each an `Arc` of it.
///
/// ```
/// # use std::sync::Arc;
/// # use circa_receiver::{MetricsObserver, Receiver, Secret};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let metrics = Arc::new(MetricsObserver::new());
/// let receiver = Receiver::circa(Secret::new("whsec_test_0123456789abcdef")?).observer(metrics).build()?;
/// # Ok(())
/// # }
/// ```
pub struct MetricsObserver {
    clock: Arc<dyn Clock>,
    /// Of the application's own.
    event_types: Vec<Arc<str>>,
    endpoints: RwLock<Vec<Arc<EndpointMetrics>>>,
    /// By name; workers of one process may have the same.
    workers: RwLock<Vec<(String, Arc<EndpointMetrics>)>>,
}

impl MetricsObserver {
    /// An observer of receivers and workers that are built afterwards.
    pub fn new() -> Self {
        names::describe();
        gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Self {
            clock: Arc::new(SystemClock),
            event_types: Vec::new(),
            endpoints: RwLock::default(),
            workers: RwLock::default(),
        }
    }

    /// Event types that get a label of their own beside those that a handler is registered for,
    /// such as some of those that a fallback takes; all others share the label `other`.
    #[must_use]
    pub fn event_types<'a>(mut self, event_types: impl IntoIterator<Item = &'a str>) -> Self {
        self.event_types.extend(event_types.into_iter().map(Arc::from));
        self
    }

    /// The clock that ages and skews are measured with; [`SystemClock`] by default.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// The metrics of an endpoint; `None` before [`Observer::configured`].
    fn of(&self, endpoint: &str) -> Option<Arc<EndpointMetrics>> {
        let endpoints = self.endpoints.read().unwrap_or_else(PoisonError::into_inner);
        // A handful at most. Cloned, so that a slow recorder does not keep the lock.
        let find = |name: &str| endpoints.iter().find(|metrics| *metrics.name == *name).map(Arc::clone);
        // Tenants have no metrics of their own: `circa/acme` is counted with `circa`.
        find(endpoint).or_else(|| find(endpoint.rsplit_once('/')?.0))
    }

    /// The metrics of an endpoint, made where it has none yet.
    fn of_new(&self, endpoint: &str) -> Arc<EndpointMetrics> {
        let mut endpoints = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = endpoints.iter().find(|metrics| *metrics.name == *endpoint) {
            return Arc::clone(known);
        }
        let metrics = Arc::new(EndpointMetrics::new(endpoint));
        metrics.add_types(self.event_types.iter().map(|event_type| &**event_type));
        endpoints.push(Arc::clone(&metrics));
        metrics
    }

    fn with(&self, endpoint: &str, measure: impl FnOnce(&EndpointMetrics)) {
        if let Some(metrics) = self.of(endpoint) {
            measure(&metrics);
        }
    }

    fn with_worker(&self, worker: &str, measure: impl Fn(&EndpointMetrics)) {
        let workers = self.workers.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, metrics) in workers.iter().filter(|(name, _)| name == worker) {
            measure(metrics);
        }
    }

    fn ran(&self, delivery: &Delivery, duration: Duration) {
        self.with(delivery.endpoint(), |metrics| {
            metrics.handler_duration(delivery.event().event_type()).record(duration);
        });
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Observer for MetricsObserver {
    fn configured(&self, endpoint: &str, _: Sender, secrets: &[SecretId]) {
        self.of_new(endpoint).configure(secrets);
    }

    fn routed(&self, endpoint: &str, event_types: &[&str]) {
        self.of_new(endpoint).add_types(event_types.iter().copied());
    }

    fn answered(&self, endpoint: &str, outcome: Outcome, elapsed: Duration) {
        self.with(endpoint, |metrics| {
            if let Some(deliveries) = metrics.delivery(outcome) {
                deliveries.increment(1);
            }
            metrics.answer_duration.record(elapsed);
            match outcome.response().status() {
                200..=299 => metrics.consecutive_failures.set(0.0),
                _ => metrics.consecutive_failures.increment(1.0),
            }
        });
    }

    fn entered(&self, endpoint: &str, stage: Stage) {
        self.with(endpoint, |metrics| metrics.in_progress(stage).increment(1.0));
    }

    fn left(&self, endpoint: &str, stage: Stage) {
        self.with(endpoint, |metrics| metrics.in_progress(stage).decrement(1.0));
    }

    fn authenticated(&self, delivery: &Delivery) {
        let (event, Ok(now)) = (delivery.event(), self.clock.unix_seconds()) else { return };
        self.with(delivery.endpoint(), |metrics| {
            if let Some(secret) = event.secret() {
                metrics.secret_matched(secret, now);
            }
            if let Some(signed_at) = event.signed_at() {
                let [past, future] = &metrics.skew;
                let skew = if signed_at <= now { past } else { future };
                skew.record(signed_at.abs_diff(now) as f64);
            }
        });
    }

    fn duplicate(&self, delivery: &Delivery, same_body: bool) {
        if !same_body {
            self.with(delivery.endpoint(), |metrics| metrics.changed_duplicates.increment(1));
        }
    }

    fn handled(&self, delivery: &Delivery, duration: Duration) {
        self.ran(delivery, duration);
        if let (Some(created), Ok(now)) = (delivery.event().created(), self.clock.unix_seconds()) {
            let age = now.saturating_sub(created).max(0);
            self.with(delivery.endpoint(), |metrics| metrics.event_age.record(age as f64));
        }
    }

    fn failed(&self, delivery: &Delivery, _: &HandlerError, duration: Duration) {
        self.ran(delivery, duration);
    }

    fn retried(&self, delivery: &Delivery, _: Duration) {
        self.with(delivery.endpoint(), |metrics| metrics.inbox().retries.increment(1));
    }

    fn given_back(&self, endpoint: &str) {
        self.with(endpoint, |metrics| metrics.inbox().given_back.increment(1));
    }

    fn worker_configured(&self, worker: &str, endpoint: &str) {
        let metrics = self.of_new(endpoint);
        metrics.inbox();
        self.workers.write().unwrap_or_else(PoisonError::into_inner).push((worker.to_owned(), metrics));
    }

    fn inbox_measured(&self, endpoint: &str, stats: &Stats) {
        self.with(endpoint, |metrics| metrics.inbox().measured(stats));
    }

    fn inbox_unavailable(&self, worker: &str, _: &StoreError) {
        self.with_worker(worker, |metrics| {
            metrics.inbox().worker_healthy.set(0.0);
            metrics.store_errors(StoreOperation::Lease).increment(1);
        });
    }

    fn inbox_available(&self, worker: &str) {
        self.with_worker(worker, |metrics| metrics.inbox().worker_healthy.set(1.0));
    }

    fn dead_letter_failed(&self, delivery: &Delivery, _: &BoxError) {
        self.with(delivery.endpoint(), |metrics| metrics.dead_letter_failures.increment(1));
    }

    fn store_called(&self, endpoint: &str, operation: StoreOperation, elapsed: Duration) {
        self.with(endpoint, |metrics| metrics.store_call_duration(operation).record(elapsed));
    }

    fn store_error(&self, delivery: &Delivery, operation: StoreOperation, _: &StoreError) {
        self.with(delivery.endpoint(), |metrics| metrics.store_errors(operation).increment(1));
    }

    fn claim_lost(&self, delivery: &Delivery) {
        self.with(delivery.endpoint(), |metrics| metrics.leases_lost.increment(1));
    }

    fn observer_panicked(&self, endpoint: &str) {
        self.with(endpoint, |metrics| metrics.observer_panics.increment(1));
    }
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsObserver").field("event_types", &self.event_types).finish_non_exhaustive()
    }
}
