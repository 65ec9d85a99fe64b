//! What is worth knowing, one method each, so that logging and metrics are added without touching the pipeline.

use std::{fmt, time::Duration};

use super::warning::ConfigWarning;
use crate::answer::Outcome;
use crate::answer::Rejection;
use crate::error::{BoxError, StoreError};
use crate::event::Delivery;
use crate::handler::HandlerError;

/// Watches a receiver. Every method does nothing by default; implement those that you need, and return quickly: they run in the delivery's path.
///
/// From a delivery that is not authentic nothing is told but the reason.
pub trait Observer: Send + Sync + 'static {
    /// A delivery arrived at an endpoint.
    fn received(&self, endpoint: &str) {
        let _ = endpoint;
    }

    /// A delivery was refused; [`Rejection::Stale`] tells the skew.
    fn rejected(&self, endpoint: &str, rejection: Rejection) {
        let _ = (endpoint, rejection);
    }

    /// A delivery is authentic, and its event valid; [`AnyEvent::secret`](crate::AnyEvent::secret) tells which secret matched.
    fn authenticated(&self, delivery: &Delivery) {
        let _ = delivery;
    }

    /// An event is not wanted: another mode, or no handler for its type.
    fn ignored(&self, delivery: &Delivery) {
        let _ = delivery;
    }

    /// An event had been handled before. With another body under the same id it deserves a warning.
    fn duplicate(&self, delivery: &Delivery, same_body: bool) {
        let _ = (delivery, same_body);
    }

    /// A delivery waited for another of the same event, which did not succeed, and is answered as that one. With another body under the same id it
    /// deserves a warning.
    fn waited_in_vain(&self, delivery: &Delivery, outcome: Outcome, same_body: bool) {
        let _ = (delivery, outcome, same_body);
    }

    /// A handler succeeded, after so long.
    fn handled(&self, delivery: &Delivery, duration: Duration) {
        let _ = (delivery, duration);
    }

    /// A handler failed, after so long, and the claim was released. The error is the handler's own, or tells of a panic.
    fn failed(&self, delivery: &Delivery, error: &HandlerError, duration: Duration) {
        let _ = (delivery, error, duration);
    }

    /// An event can never be handled and went to the dead-letter sink.
    fn dead_lettered(&self, delivery: &Delivery, error: &HandlerError) {
        let _ = (delivery, error);
    }

    /// The dead-letter sink failed; the claim was released.
    fn dead_letter_failed(&self, delivery: &Delivery, error: &BoxError) {
        let _ = (delivery, error);
    }

    /// The ack deadline passed before the handler ended. The sender was told to come back; the handler runs on.
    fn unfinished(&self, delivery: &Delivery) {
        let _ = delivery;
    }

    /// The dedup store failed.
    fn store_error(&self, delivery: &Delivery, operation: StoreOperation, error: &StoreError) {
        let _ = (delivery, operation, error);
    }

    /// The claim has passed to another holder while the handler ran: its lease had lapsed.
    fn claim_lost(&self, delivery: &Delivery) {
        let _ = delivery;
    }

    /// The receiver was built with settings that are allowed but unwise.
    fn config_warning(&self, endpoint: &str, warning: ConfigWarning) {
        let _ = (endpoint, warning);
    }
}

/// Which operation of the dedup store failed.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StoreOperation {
    /// Asking for the claim.
    Claim,
    /// Prolonging its lease.
    Renew,
    /// Marking it done.
    Complete,
    /// Giving it up.
    Release,
}

impl fmt::Display for StoreOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Claim => "claim",
            Self::Renew => "renew",
            Self::Complete => "complete",
            Self::Release => "release",
        })
    }
}

/// Writes what happens to `tracing`, under the target `circa_receiver`: refusals and trouble as warnings, the rest as info and debug.
///
/// Nothing of a body or a secret is written, but what your own handlers put into their errors and panics is.
#[cfg(feature = "tracing")]
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver;

/// One line about an authentic delivery.
#[cfg(feature = "tracing")]
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

#[cfg(feature = "tracing")]
impl Observer for TracingObserver {
    fn received(&self, endpoint: &str) {
        tracing::trace!(target: "circa_receiver", endpoint, "delivery received");
    }

    fn rejected(&self, endpoint: &str, rejection: Rejection) {
        let skew_seconds = if let Rejection::Stale { skew_seconds } = rejection { Some(skew_seconds) } else { None };
        tracing::warn!(target: "circa_receiver", endpoint, reason = rejection.reason(), skew_seconds, "delivery refused");
    }

    fn authenticated(&self, delivery: &Delivery) {
        let event = delivery.event();
        let secret = event.secret().map(tracing::field::display);
        delivery_event!(debug, delivery, "delivery authenticated", secret, webhook_id = event.webhook_id());
    }

    fn ignored(&self, delivery: &Delivery) {
        delivery_event!(debug, delivery, "event ignored");
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

    fn handled(&self, delivery: &Delivery, duration: Duration) {
        delivery_event!(info, delivery, "event handled", duration = ?duration);
    }

    fn failed(&self, delivery: &Delivery, error: &HandlerError, duration: Duration) {
        delivery_event!(warn, delivery, "handler failed", error = %error, permanent = error.is_permanent(), duration = ?duration);
    }

    fn dead_lettered(&self, delivery: &Delivery, error: &HandlerError) {
        delivery_event!(warn, delivery, "event dead-lettered", error = %error);
    }

    fn dead_letter_failed(&self, delivery: &Delivery, error: &BoxError) {
        delivery_event!(error, delivery, "dead-letter sink failed", error = %error);
    }

    fn unfinished(&self, delivery: &Delivery) {
        delivery_event!(warn, delivery, "handler still running at the ack deadline");
    }

    fn store_error(&self, delivery: &Delivery, operation: StoreOperation, error: &StoreError) {
        delivery_event!(error, delivery, "dedup store failed", operation = %operation, error = %error);
    }

    fn claim_lost(&self, delivery: &Delivery) {
        delivery_event!(error, delivery, "claim passed to another holder while the handler ran");
    }

    fn config_warning(&self, endpoint: &str, warning: ConfigWarning) {
        tracing::warn!(target: "circa_receiver", endpoint, "{warning}");
    }
}
