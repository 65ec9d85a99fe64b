//! The span of a run from an inbox. Without the feature `tracing` there is none, and futures run as
//! they are.

use std::time::Duration;

#[cfg(feature = "tracing")]
use tracing::field::Empty;

#[cfg(feature = "tracing")]
use super::safe_span::SafeSpan;
use crate::event::Delivery;

/// The span of a run from an inbox, `webhook_run`. The span of its delivery ended before: what
/// leads back to it is the field `traceparent`.
pub(crate) struct RunSpan {
    #[cfg(feature = "tracing")]
    span: SafeSpan,
}

#[cfg(feature = "tracing")]
impl RunSpan {
    /// Of the attempt with this number, from 1, and the `traceparent` of the delivery's request.
    pub(crate) fn new(delivery: &Delivery, attempt: u32, traceparent: Option<&str>) -> Self {
        let event = delivery.event();
        let span = || {
            tracing::info_span!(
                target: "circa_receiver",
                "webhook_run",
                endpoint = delivery.endpoint(),
                sender = event.sender().name(),
                event_type = event.event_type(),
                event_id = event.id(),
                attempt,
                traceparent = traceparent.filter(|text| is_traceparent(text)),
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

    /// The run has ended.
    pub(crate) fn ended(&self, outcome: &str, error_type: Option<&str>, elapsed: Duration) {
        self.span.record("outcome", outcome);
        self.span.record("error.type", error_type);
        self.span.record("duration_seconds", elapsed.as_secs_f64());
    }
}

#[cfg(not(feature = "tracing"))]
impl RunSpan {
    pub(crate) fn new(_: &Delivery, _: u32, _: Option<&str>) -> Self {
        Self {}
    }

    pub(crate) fn around<F: Future>(&self, future: F) -> F {
        future
    }

    pub(crate) fn ended(&self, _: &str, _: Option<&str>, _: Duration) {}
}

/// The form of W3C Trace Context, version 00: whatever else a sender wrote is not recorded.
#[cfg(feature = "tracing")]
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &&str| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts.iter().all(is_hex)
}
