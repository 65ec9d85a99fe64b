//! The spans of a delivery and of its handler. Without the feature `tracing` there are none, and
//! futures run as they are.

#[cfg(feature = "tracing")]
use tracing::field::Empty;

#[cfg(feature = "tracing")]
use super::safe_span::SafeSpan;
use crate::answer::Outcome;
#[cfg(feature = "tracing")]
use crate::answer::Rejection;
use crate::event::Delivery;
use crate::sender::Sender;

/// The span of a delivery, `webhook`, inside the span of its request.
#[derive(Clone)]
pub(crate) struct DeliverySpan {
    #[cfg(feature = "tracing")]
    span: SafeSpan,
}

#[cfg(feature = "tracing")]
impl DeliverySpan {
    /// Of a delivery that has just arrived.
    pub(crate) fn new(endpoint: &str, sender: Sender) -> Self {
        let span = || {
            tracing::info_span!(
                target: "circa_receiver",
                "webhook",
                endpoint,
                sender = sender.name(),
                event_type = Empty,
                event_id = Empty,
                secret = Empty,
                skew_seconds = Empty,
                outcome = Empty,
                "error.type" = Empty,
                duration_seconds = Empty,
            )
        };
        Self { span: SafeSpan::new(span) }
    }

    /// Polls the future inside this span.
    pub(crate) fn around<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.span.clone().around(future)
    }

    /// The delivery is authentic. `now` is in unix seconds.
    pub(crate) fn authenticated(&self, delivery: &Delivery, now: impl FnOnce() -> Option<i64>) {
        if self.span.is_disabled() {
            return;
        }
        let event = delivery.event();
        self.span.record("event_type", event.event_type());
        self.span.record("event_id", event.id());
        if let Some(secret) = event.secret() {
            self.span.record("secret", tracing::field::display(secret));
        }
        if let (Some(signed_at), Some(now)) = (event.signed_at(), now()) {
            self.span.record("skew_seconds", signed_at.saturating_sub(now));
        }
    }

    /// The delivery is answered.
    pub(crate) fn answered(&self, outcome: Outcome, elapsed: impl FnOnce() -> std::time::Duration) {
        if self.span.is_disabled() {
            return;
        }
        self.span.record("duration_seconds", elapsed().as_secs_f64());
        let Outcome::Rejected(rejection) = outcome else {
            self.span.record("outcome", outcome.as_str());
            return;
        };
        self.span.record("outcome", "rejected");
        self.span.record("error.type", rejection.reason());
        if let Rejection::Stale { skew_seconds } = rejection {
            self.span.record("skew_seconds", skew_seconds);
        }
    }
}

#[cfg(not(feature = "tracing"))]
impl DeliverySpan {
    pub(crate) fn new(_: &str, _: Sender) -> Self {
        Self {}
    }

    pub(crate) fn around<F: Future>(&self, future: F) -> F {
        future
    }

    pub(crate) fn authenticated(&self, _: &Delivery, _: impl FnOnce() -> Option<i64>) {}

    pub(crate) fn answered(&self, _: Outcome, _: impl FnOnce() -> std::time::Duration) {}
}

/// Runs a handler inside the span of its delivery, and a span of its own with endpoint, event type
/// and event id. Without the feature `tracing`, as it is.
#[cfg(feature = "tracing")]
pub(crate) fn in_handler_span<F: Future>(delivery: &Delivery, handler: F) -> impl Future<Output = F::Output> {
    let span = || {
        tracing::info_span!(
            target: "circa_receiver",
            "webhook_handler",
            endpoint = delivery.endpoint(),
            event_type = delivery.event().event_type(),
            event_id = delivery.event().id(),
        )
    };
    SafeSpan::new(span).around(handler)
}

/// Runs a handler as it is.
#[cfg(not(feature = "tracing"))]
pub(crate) fn in_handler_span<F: Future>(_: &Delivery, handler: F) -> F {
    handler
}
