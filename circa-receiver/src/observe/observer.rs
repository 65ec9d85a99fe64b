//! What is worth knowing, one method each, so that logging and metrics are added without touching
//! the pipeline.

use std::{sync::Arc, time::Duration};

use super::diagnosis::Diagnosis;
use super::operation::StoreOperation;
use super::stage::Stage;
use super::stats::Stats;
use super::warning::ConfigWarning;
use crate::answer::{Outcome, PayloadFault, Rejection};
use crate::error::{BoxError, StoreError};
use crate::event::Delivery;
use crate::handler::HandlerError;
use crate::sender::Sender;
use crate::verify::SecretId;

/// Watches a receiver. Every method does nothing by default; implement those that you need.
///
/// They run in the path of the delivery: return quickly and do not block. A panic is caught and
/// counted, and changes no answer. Of a delivery that is not authentic they get the reason alone,
/// and the [`Diagnosis`] of a mismatch.
///
#[doc = include_str!("observer.md")]
#[allow(unused_variables, reason = "the names say what a method gets")]
pub trait Observer: Send + Sync + 'static {
    /// A receiver was built, or its secrets were replaced. Later calls refer to these secrets.
    fn configured(&self, endpoint: &str, sender: Sender, secrets: &[SecretId]) {}

    /// Handlers were registered for these event types of an endpoint: its routes were checked, or a
    /// worker was built. What only a fallback takes is not among them.
    fn routed(&self, endpoint: &str, event_types: &[&str]) {}

    /// A delivery arrived at an endpoint.
    fn received(&self, endpoint: &str) {}

    /// A delivery was answered, `elapsed` after its head had arrived. Called once for each delivery,
    /// but for one whose sender hung up before.
    fn answered(&self, endpoint: &str, outcome: Outcome, elapsed: Duration) {}

    /// A delivery has come to a stage at which it may stay for a while.
    fn entered(&self, endpoint: &str, stage: Stage) {}

    /// A delivery has left that stage, however it did.
    fn left(&self, endpoint: &str, stage: Stage) {}

    /// A delivery was refused; [`Rejection::Stale`] tells the skew. The endpoint is a tenant's only
    /// where the delivery has its signature.
    fn rejected(&self, endpoint: &str, rejection: Rejection) {}

    /// The secrets of a tenant could not be looked up; those that were known go on for up to 1 h.
    /// At most once in 60 s a tenant, or in 5 s where none are known.
    fn secrets_not_read(&self, endpoint: &str, error: &BoxError) {}

    /// The mistake behind a [`Rejection::SignatureMismatch`] was searched for, on another thread
    /// than the delivery's; at most once a minute and receiver.
    fn diagnosed(&self, endpoint: &str, diagnosis: Diagnosis) {}

    /// A delivery is authentic, and its event valid; [`AnyEvent::secret`](crate::AnyEvent::secret)
    /// tells which secret matched.
    fn authenticated(&self, delivery: &Delivery) {}

    /// An authentic delivery has an envelope that cannot be understood; it goes to the dead-letter
    /// sink. Without a sink it is [rejected](Observer::rejected).
    fn unreadable(&self, delivery: &Delivery, fault: PayloadFault) {}

    /// An event is not wanted: another mode, or no handler for its type.
    fn ignored(&self, delivery: &Delivery) {}

    /// An event is not wanted because no handler takes its type; once a type and hour.
    fn unhandled(&self, delivery: &Delivery) {}

    /// A documented field of an envelope is missing, or not as documented: `"created"`,
    /// `"livemode"` or `"teamId"`. The event is handled all the same. Once a field, for as long as
    /// the receiver lives.
    fn field_drifted(&self, delivery: &Delivery, field: &'static str) {}

    /// An event had been handled before. With another body under the same id it deserves a warning.
    fn duplicate(&self, delivery: &Delivery, same_body: bool) {}

    /// A delivery waited for another of the same event, which did not succeed, and is answered as
    /// that one. With another body under the same id it deserves a warning.
    fn waited_in_vain(&self, delivery: &Delivery, outcome: Outcome, same_body: bool) {}

    /// A delivery's event is durable in the inbox; it was answered 202.
    fn accepted(&self, delivery: &Delivery) {}

    /// A handler succeeded, after so long.
    fn handled(&self, delivery: &Delivery, duration: Duration) {}

    /// A handler failed, after so long, and the claim was released. The error is the handler's own,
    /// or tells of a panic.
    fn failed(&self, delivery: &Delivery, error: &HandlerError, duration: Duration) {}

    /// An event can never be handled and went to the dead-letter sink.
    fn dead_lettered(&self, delivery: &Delivery, error: &HandlerError) {}

    /// The dead-letter sink failed; the claim was released.
    fn dead_letter_failed(&self, delivery: &Delivery, error: &BoxError) {}

    /// The ack deadline passed before the handler ended. The sender was answered 503; the handler
    /// runs on.
    fn unfinished(&self, delivery: &Delivery) {}

    /// A call of the dedup store or the inbox ended after `elapsed`, with success or an error. A
    /// [`StoreOperation::Complete`] includes its retries; a [`StoreOperation::Lease`] is reported
    /// for each endpoint whose events the worker runs.
    fn store_called(&self, endpoint: &str, operation: StoreOperation, elapsed: Duration) {}

    /// The dedup store or the inbox failed at a delivery. A worker's lease that failed is reported
    /// by [`inbox_unavailable`](Observer::inbox_unavailable).
    fn store_error(&self, delivery: &Delivery, operation: StoreOperation, error: &StoreError) {}

    /// The claim has passed to another holder while the handler ran: its lease had lapsed.
    fn claim_lost(&self, delivery: &Delivery) {}

    /// An event that failed runs again so long after its run: the inbox keeps it until then.
    fn retried(&self, delivery: &Delivery, after: Duration) {}

    /// A worker that stops gave an event back to the inbox; no attempt is used up.
    fn given_back(&self, endpoint: &str) {}

    /// A worker with this name was built, which runs the events of an endpoint.
    fn worker_configured(&self, worker: &str, endpoint: &str) {}

    /// What the inbox holds of an endpoint's events, of all processes together. Every 15 s, by each
    /// worker that runs them.
    fn inbox_measured(&self, endpoint: &str, stats: &Stats) {}

    /// An observer panicked. Told to the others, and to the one that did.
    fn observer_panicked(&self, endpoint: &str) {}

    /// The inbox does not answer the worker with this name, which asks again until it does. Once an
    /// outage.
    fn inbox_unavailable(&self, worker: &str, error: &StoreError) {}

    /// The inbox answers the worker again.
    fn inbox_available(&self, worker: &str) {}

    /// The receiver was built with settings that are allowed but unwise.
    fn config_warning(&self, endpoint: &str, warning: ConfigWarning) {}
}

/// An observer that others hold too.
impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn configured(&self, endpoint: &str, sender: Sender, secrets: &[SecretId]) {
        (**self).configured(endpoint, sender, secrets);
    }

    fn routed(&self, endpoint: &str, event_types: &[&str]) {
        (**self).routed(endpoint, event_types);
    }

    fn received(&self, endpoint: &str) {
        (**self).received(endpoint);
    }

    fn answered(&self, endpoint: &str, outcome: Outcome, elapsed: Duration) {
        (**self).answered(endpoint, outcome, elapsed);
    }

    fn entered(&self, endpoint: &str, stage: Stage) {
        (**self).entered(endpoint, stage);
    }

    fn left(&self, endpoint: &str, stage: Stage) {
        (**self).left(endpoint, stage);
    }

    fn rejected(&self, endpoint: &str, rejection: Rejection) {
        (**self).rejected(endpoint, rejection);
    }

    fn secrets_not_read(&self, endpoint: &str, error: &BoxError) {
        (**self).secrets_not_read(endpoint, error);
    }

    fn diagnosed(&self, endpoint: &str, diagnosis: Diagnosis) {
        (**self).diagnosed(endpoint, diagnosis);
    }

    fn authenticated(&self, delivery: &Delivery) {
        (**self).authenticated(delivery);
    }

    fn unreadable(&self, delivery: &Delivery, fault: PayloadFault) {
        (**self).unreadable(delivery, fault);
    }

    fn ignored(&self, delivery: &Delivery) {
        (**self).ignored(delivery);
    }

    fn unhandled(&self, delivery: &Delivery) {
        (**self).unhandled(delivery);
    }

    fn field_drifted(&self, delivery: &Delivery, field: &'static str) {
        (**self).field_drifted(delivery, field);
    }

    fn duplicate(&self, delivery: &Delivery, same_body: bool) {
        (**self).duplicate(delivery, same_body);
    }

    fn waited_in_vain(&self, delivery: &Delivery, outcome: Outcome, same_body: bool) {
        (**self).waited_in_vain(delivery, outcome, same_body);
    }

    fn accepted(&self, delivery: &Delivery) {
        (**self).accepted(delivery);
    }

    fn handled(&self, delivery: &Delivery, duration: Duration) {
        (**self).handled(delivery, duration);
    }

    fn failed(&self, delivery: &Delivery, error: &HandlerError, duration: Duration) {
        (**self).failed(delivery, error, duration);
    }

    fn dead_lettered(&self, delivery: &Delivery, error: &HandlerError) {
        (**self).dead_lettered(delivery, error);
    }

    fn dead_letter_failed(&self, delivery: &Delivery, error: &BoxError) {
        (**self).dead_letter_failed(delivery, error);
    }

    fn unfinished(&self, delivery: &Delivery) {
        (**self).unfinished(delivery);
    }

    fn store_called(&self, endpoint: &str, operation: StoreOperation, elapsed: Duration) {
        (**self).store_called(endpoint, operation, elapsed);
    }

    fn store_error(&self, delivery: &Delivery, operation: StoreOperation, error: &StoreError) {
        (**self).store_error(delivery, operation, error);
    }

    fn claim_lost(&self, delivery: &Delivery) {
        (**self).claim_lost(delivery);
    }

    fn retried(&self, delivery: &Delivery, after: Duration) {
        (**self).retried(delivery, after);
    }

    fn given_back(&self, endpoint: &str) {
        (**self).given_back(endpoint);
    }

    fn worker_configured(&self, worker: &str, endpoint: &str) {
        (**self).worker_configured(worker, endpoint);
    }

    fn inbox_measured(&self, endpoint: &str, stats: &Stats) {
        (**self).inbox_measured(endpoint, stats);
    }

    fn observer_panicked(&self, endpoint: &str) {
        (**self).observer_panicked(endpoint);
    }

    fn inbox_unavailable(&self, worker: &str, error: &StoreError) {
        (**self).inbox_unavailable(worker, error);
    }

    fn inbox_available(&self, worker: &str) {
        (**self).inbox_available(worker);
    }

    fn config_warning(&self, endpoint: &str, warning: ConfigWarning) {
        (**self).config_warning(endpoint, warning);
    }
}
