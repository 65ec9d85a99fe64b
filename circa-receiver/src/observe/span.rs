//! The span of a handler.

use crate::event::Delivery;

/// Runs a handler inside the span of its request, and a span of its own with endpoint, event type and event id. Without the
/// feature `tracing`, as it is.
#[cfg(feature = "tracing")]
pub(crate) fn in_handler_span<F: Future>(delivery: &Delivery, handler: F) -> impl Future<Output = F::Output> {
    use tracing::Instrument as _;

    let event = delivery.event();
    let span = tracing::info_span!(
        target: "circa_receiver",
        "webhook_handler",
        endpoint = delivery.endpoint(),
        event_type = event.event_type(),
        event_id = event.id(),
    );
    handler.instrument(span)
}

/// Runs a handler as it is.
#[cfg(not(feature = "tracing"))]
pub(crate) fn in_handler_span<F: Future>(_: &Delivery, handler: F) -> F {
    handler
}
