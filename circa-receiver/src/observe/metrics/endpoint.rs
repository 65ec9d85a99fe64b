//! The metrics of one endpoint. All are made when the receiver is built, so that each is there, at
//! 0, before its first event.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};

use super::inbox::InboxMetrics;
use super::names;
use crate::answer::{Outcome, Rejection};
use crate::observe::operation::StoreOperation;
use crate::observe::stage::Stage;
use crate::verify::SecretId;

/// The label of event types that no handler was registered for: what a sender writes is no label.
const OTHER: &str = "other";

/// All handles of one endpoint.
pub(super) struct EndpointMetrics {
    pub(super) name: SharedString,
    /// By outcome and reason.
    deliveries: Vec<(&'static str, &'static str, Counter)>,
    pub(super) answer_duration: Histogram,
    pub(super) consecutive_failures: Gauge,
    in_progress: [Gauge; Stage::ALL.len()],
    /// Of deliveries signed in the past, and in the future.
    pub(super) skew: [Histogram; 2],
    secrets: RwLock<Vec<(SecretId, Gauge)>>,
    handler_duration: RwLock<HashMap<Arc<str>, Histogram>>,
    other_duration: Histogram,
    pub(super) event_age: Histogram,
    store_call_duration: [Histogram; StoreOperation::ALL.len()],
    store_errors: [Counter; StoreOperation::ALL.len()],
    pub(super) leases_lost: Counter,
    pub(super) changed_duplicates: Counter,
    pub(super) dead_letter_failures: Counter,
    pub(super) observer_panics: Counter,
    /// Where a worker of this process runs its events.
    inbox: OnceLock<InboxMetrics>,
}

impl EndpointMetrics {
    pub(super) fn new(endpoint: &str) -> Self {
        let name = SharedString::from(endpoint.to_owned());
        let endpoint = || name.clone();
        let delivery = |outcome: Outcome| {
            let (outcome, reason) = labels(outcome);
            let counter =
                counter!(names::DELIVERIES, "endpoint" => endpoint(), "outcome" => outcome, "reason" => reason);
            (outcome, reason, counter)
        };
        let refused = Rejection::ALL.map(Outcome::Rejected);
        Self {
            deliveries: Outcome::UNREFUSED.into_iter().chain(refused).map(delivery).collect(),
            answer_duration: histogram!(names::ANSWER_DURATION, "endpoint" => endpoint()),
            consecutive_failures: gauge!(names::CONSECUTIVE_FAILURES, "endpoint" => endpoint()),
            in_progress: Stage::ALL
                .map(|stage| gauge!(names::IN_PROGRESS, "endpoint" => endpoint(), "stage" => stage.as_str())),
            skew: ["past", "future"]
                .map(|direction| histogram!(names::SKEW, "endpoint" => endpoint(), "direction" => direction)),
            secrets: RwLock::default(),
            handler_duration: RwLock::default(),
            other_duration: histogram!(names::HANDLER_DURATION, "endpoint" => endpoint(), "type" => OTHER),
            event_age: histogram!(names::EVENT_AGE, "endpoint" => endpoint()),
            store_call_duration: StoreOperation::ALL.map(|operation| {
                histogram!(names::STORE_CALL_DURATION, "endpoint" => endpoint(), "operation" => operation.as_str())
            }),
            store_errors: StoreOperation::ALL.map(
                |operation| counter!(names::STORE_ERRORS, "endpoint" => endpoint(), "operation" => operation.as_str()),
            ),
            leases_lost: counter!(names::LEASES_LOST, "endpoint" => endpoint()),
            changed_duplicates: counter!(names::CHANGED_DUPLICATES, "endpoint" => endpoint()),
            dead_letter_failures: counter!(names::DEAD_LETTER_FAILURES, "endpoint" => endpoint()),
            observer_panics: counter!(names::OBSERVER_PANICS, "endpoint" => endpoint()),
            inbox: OnceLock::new(),
            name,
        }
    }

    /// Makes a gauge for each secret that has none yet.
    pub(super) fn configure(&self, secrets: &[SecretId]) {
        let mut known = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets {
            if known.iter().all(|(other, _)| other != secret) {
                let (endpoint, label) = (self.name.clone(), secret.to_string());
                known.push((
                    secret.clone(),
                    gauge!(names::SECRET_LAST_MATCH, "endpoint" => endpoint, "secret" => label),
                ));
            }
        }
    }

    /// Makes a histogram for each event type that has none yet.
    pub(super) fn add_types<'a>(&self, event_types: impl IntoIterator<Item = &'a str>) {
        let mut known = self.handler_duration.write().unwrap_or_else(PoisonError::into_inner);
        for event_type in event_types {
            known.entry(event_type.into()).or_insert_with_key(|event_type| {
                let (endpoint, label) = (self.name.clone(), SharedString::from(Arc::clone(event_type)));
                histogram!(names::HANDLER_DURATION, "endpoint" => endpoint, "type" => label)
            });
        }
    }

    /// The metrics of the inbox, made where there are none yet.
    pub(super) fn inbox(&self) -> &InboxMetrics {
        self.inbox.get_or_init(|| InboxMetrics::new(&self.name))
    }

    pub(super) fn delivery(&self, outcome: Outcome) -> Option<&Counter> {
        let (outcome, reason) = labels(outcome);
        let mut deliveries = self.deliveries.iter();
        deliveries.find(|(o, r, _)| *o == outcome && *r == reason).map(|(_, _, counter)| counter)
    }

    pub(super) fn in_progress(&self, stage: Stage) -> &Gauge {
        match stage {
            Stage::Body => &self.in_progress[0],
            Stage::Place => &self.in_progress[1],
            Stage::Duplicate => &self.in_progress[2],
            Stage::Handler => &self.in_progress[3],
        }
    }

    pub(super) fn secret_matched(&self, secret: &SecretId, now: i64) {
        let known = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, gauge)) = known.iter().find(|(other, _)| other == secret) {
            gauge.set(now as f64);
        }
    }

    pub(super) fn handler_duration(&self, event_type: &str) -> Histogram {
        let known = self.handler_duration.read().unwrap_or_else(PoisonError::into_inner);
        known.get(event_type).unwrap_or(&self.other_duration).clone()
    }

    pub(super) fn store_call_duration(&self, operation: StoreOperation) -> &Histogram {
        &self.store_call_duration[index(operation)]
    }

    pub(super) fn store_errors(&self, operation: StoreOperation) -> &Counter {
        &self.store_errors[index(operation)]
    }
}

/// The place of an operation among all.
fn index(operation: StoreOperation) -> usize {
    match operation {
        StoreOperation::Claim => 0,
        StoreOperation::Renew => 1,
        StoreOperation::Complete => 2,
        StoreOperation::Release => 3,
        StoreOperation::Accept => 4,
        StoreOperation::Lease => 5,
        StoreOperation::Settle => 6,
    }
}

/// The outcome, and the reason of a refusal.
fn labels(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Rejected(rejection) => ("rejected", rejection.reason()),
        outcome => (outcome.as_str(), "none"),
    }
}
