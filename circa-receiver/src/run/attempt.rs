//! One attempt of a handler: to its end, within its time limit, unless it is stopped.

use std::{future::Future, time::Duration};

use tokio::{task::unconstrained, time::sleep};

use crate::event::Delivery;
use crate::handler::HandlerError;
use crate::observe::in_handler_span;
use crate::panic;

/// How an attempt ended.
pub(crate) enum Attempt<T> {
    Ended(T),
    /// Its time was up first.
    TimedOut,
    /// It was stopped first.
    Stopped,
}

/// Work to its end, at most to the limit, or until it is stopped: then it is dropped.
pub(crate) async fn attempt<T>(
    work: impl Future<Output = T>,
    limit: Duration,
    stopped: impl Future<Output = ()>,
) -> Attempt<T> {
    // Unconstrained: a handler that uses up the task's budget must not keep the timer from being
    // polled.
    tokio::select! {
        biased;
        end = work => Attempt::Ended(end),
        () = unconstrained(sleep(limit)) => Attempt::TimedOut,
        () = unconstrained(stopped) => Attempt::Stopped,
    }
}

/// Calls a handler in its span. A panic is a failure.
pub(crate) async fn call<F>(delivery: &Delivery, handler: impl FnOnce(Delivery) -> F) -> Result<(), HandlerError>
where
    F: Future<Output = Result<(), HandlerError>>,
{
    let own = delivery.clone();
    let returned = in_handler_span(delivery, panic::catch(move || handler(own))).await;
    returned.unwrap_or_else(|panic| Err(HandlerError::retryable(format!("the handler {panic}"))))
}

/// The failure of a handler whose time was up.
pub(crate) fn timed_out(limit: Duration) -> HandlerError {
    HandlerError::retryable(format!("the handler ran longer than its limit of {limit:?}"))
}
