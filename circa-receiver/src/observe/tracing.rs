//! The observer that writes to `tracing`.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::diagnosis::Diagnosis;
use super::observer::Observer;
use super::operation::StoreOperation;
use super::safe_span;
use super::warning::ConfigWarning;
use crate::answer::{Outcome, PayloadFault, Rejection};
use crate::error::{BoxError, StoreError, WithCauses};
use crate::event::Delivery;
use crate::handler::HandlerError;

/// Writes what happens to `tracing`, under the target `circa_receiver`: refusals and trouble as
/// warnings, the rest as info and debug.
///
/// What strangers can cause is written at debug, and as a warning only once a second and reason,
/// with how many there were since the last: whoever floods the endpoint does not flood the log.
/// Durations are in seconds, as numbers. Nothing of a body or a secret is written, but what your
/// own handlers put into their errors and panics is.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver;

/// One line about an authentic delivery.
macro_rules! delivery_event {
    ($level:ident, $delivery:expr, $message:literal $(, $($field:tt)+)?) => {
        tracing::$level!(
            target: "circa_receiver",
            endpoint = $delivery.endpoint(),
            event_id = $delivery.event().id(),
            event_type = $delivery.event().event_type(),
            $($($field)+,)?
            $message
        )
    };
}

impl TracingObserver {
    /// How many panics of the process's `tracing` subscriber were caught in the spans of receivers
    /// and workers, and in lines about a stop. Such a panic changes no answer and loses no event.
    /// One in a line that this observer writes is an
    /// [observer's](crate::Receiver::observer_panics).
    pub fn span_panics() -> u64 {
        safe_span::panics()
    }
}

impl Observer for TracingObserver {
    fn received(&self, endpoint: &str) {
        tracing::trace!(target: "circa_receiver", endpoint, "delivery received");
    }

    fn rejected(&self, endpoint: &str, rejection: Rejection) {
        let reason = rejection.reason();
        match rejection {
            Rejection::Stale { skew_seconds } => {
                tracing::warn!(target: "circa_receiver", endpoint, reason, skew_seconds, "delivery refused");
            }
            Rejection::MalformedPayload(fault) => {
                tracing::error!(target: "circa_receiver", endpoint, reason, %fault, "authentic delivery refused");
            }
            Rejection::HeaderBodyMismatch
            | Rejection::StoreUnavailable
            | Rejection::SecretsUnavailable
            | Rejection::Clock
            | Rejection::ShuttingDown => {
                tracing::warn!(target: "circa_receiver", endpoint, reason, "delivery refused");
            }
            _ => {
                tracing::debug!(target: "circa_receiver", endpoint, reason, "stranger refused");
                if let Some(count) = due(reason) {
                    tracing::warn!(target: "circa_receiver", endpoint, reason, count, "delivery refused");
                }
            }
        }
    }

    fn secrets_not_read(&self, endpoint: &str, error: &BoxError) {
        tracing::error!(target: "circa_receiver", endpoint, error = %WithCauses(&**error), "the secrets of a tenant could not be looked up");
    }

    fn diagnosed(&self, endpoint: &str, diagnosis: Diagnosis) {
        let (name, advice) = (diagnosis.as_str(), tracing::field::display(diagnosis));
        match diagnosis {
            // Whoever forges a signature causes these.
            Diagnosis::Unexplained | Diagnosis::BodyTooLong => {
                tracing::info!(target: "circa_receiver", endpoint, diagnosis = name, advice, "signature mismatch not explained");
            }
            _ => {
                tracing::warn!(target: "circa_receiver", endpoint, diagnosis = name, advice, "signature mismatch explained");
            }
        }
    }

    fn authenticated(&self, delivery: &Delivery) {
        let event = delivery.event();
        let secret = event.secret().map(tracing::field::display);
        delivery_event!(debug, delivery, "delivery authenticated", secret, webhook_id = event.webhook_id());
    }

    fn ignored(&self, delivery: &Delivery) {
        delivery_event!(debug, delivery, "event ignored");
    }

    fn unreadable(&self, delivery: &Delivery, fault: PayloadFault) {
        let reason = Rejection::MalformedPayload(fault).reason();
        delivery_event!(error, delivery, "authentic delivery cannot be understood", reason, fault = %fault);
    }

    fn unhandled(&self, delivery: &Delivery) {
        delivery_event!(
            info,
            delivery,
            "no handler takes this event type, so its events are ignored: add `.on(handler)` or a fallback"
        );
    }

    fn field_drifted(&self, delivery: &Delivery, field: &'static str) {
        delivery_event!(warn, delivery, "a documented field is missing or of another type, and is left out", field);
    }

    fn duplicate(&self, delivery: &Delivery, same_body: bool) {
        if same_body {
            delivery_event!(info, delivery, "duplicate event");
        } else {
            delivery_event!(warn, delivery, "duplicate event id with a different body");
        }
    }

    fn waited_in_vain(&self, delivery: &Delivery, outcome: Outcome, same_body: bool) {
        delivery_event!(warn, delivery, "the run that a delivery waited for did not succeed", outcome = ?outcome, same_body);
    }

    fn accepted(&self, delivery: &Delivery) {
        delivery_event!(info, delivery, "event accepted");
    }

    fn handled(&self, delivery: &Delivery, duration: Duration) {
        delivery_event!(info, delivery, "event handled", duration_seconds = duration.as_secs_f64());
    }

    fn failed(&self, delivery: &Delivery, error: &HandlerError, duration: Duration) {
        delivery_event!(warn, delivery, "handler failed", error = %WithCauses(error.error()), permanent = error.is_permanent(), duration_seconds = duration.as_secs_f64());
    }

    fn retried(&self, delivery: &Delivery, after: Duration) {
        delivery_event!(info, delivery, "event runs again later", after_seconds = after.as_secs_f64());
    }

    fn given_back(&self, endpoint: &str) {
        tracing::info!(target: "circa_receiver", endpoint, "event given back to the inbox");
    }

    fn dead_lettered(&self, delivery: &Delivery, error: &HandlerError) {
        delivery_event!(warn, delivery, "event dead-lettered", error = %WithCauses(error.error()));
    }

    fn dead_letter_failed(&self, delivery: &Delivery, error: &BoxError) {
        delivery_event!(error, delivery, "dead-letter sink failed", error = %WithCauses(&**error));
    }

    fn unfinished(&self, delivery: &Delivery) {
        delivery_event!(warn, delivery, "handler still running at the ack deadline");
    }

    fn store_error(&self, delivery: &Delivery, operation: StoreOperation, error: &StoreError) {
        delivery_event!(error, delivery, "store failed", operation = %operation, error = %WithCauses(error));
    }

    fn claim_lost(&self, delivery: &Delivery) {
        delivery_event!(error, delivery, "claim passed to another holder while the handler ran");
    }

    fn observer_panicked(&self, endpoint: &str) {
        tracing::error!(target: "circa_receiver", endpoint, "an observer panicked");
    }

    fn inbox_unavailable(&self, worker: &str, error: &StoreError) {
        tracing::error!(target: "circa_receiver", worker, error = %WithCauses(error), "inbox unavailable");
    }

    fn inbox_available(&self, worker: &str) {
        tracing::info!(target: "circa_receiver", worker, "inbox available again");
    }

    fn config_warning(&self, endpoint: &str, warning: ConfigWarning) {
        tracing::warn!(target: "circa_receiver", endpoint, "{warning}");
    }
}

/// How many refusals for this reason there were since the last line, where the next is due: once a
/// second.
fn due(reason: &'static str) -> Option<u64> {
    /// By reason: when the last line was written, and how many refusals there were since.
    static LINES: Mutex<BTreeMap<&str, (Instant, u64)>> = Mutex::new(BTreeMap::new());
    const EVERY: Duration = Duration::from_secs(1);

    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let Some((last, count)) = lines.get_mut(reason) else {
        lines.insert(reason, (now, 0));
        return Some(1);
    };
    *count += 1;
    if now.duration_since(*last) < EVERY {
        return None;
    }
    *last = now;
    Some(std::mem::take(count))
}
