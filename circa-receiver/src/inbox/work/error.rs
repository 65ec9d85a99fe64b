//! Why a worker is not built.

use std::fmt;

use crate::handler::RouteError;

/// Why a worker was not built. Says what to do.
///
/// `Debug` says the same as `Display`: it is what a `main` prints that returns this error.
#[non_exhaustive]
#[derive(Clone, Eq, PartialEq, thiserror::Error)]
pub enum WorkerError {
    /// The receiver has no inbox.
    #[error("the receiver has no inbox, so a worker would have nothing to run: add `.inbox(inbox)` to its builder")]
    NoInbox,
    /// The worker runs nothing.
    #[error("the worker serves no endpoint: add one with `.endpoint(name, sender, routes, state)`")]
    NoEndpoint,
    /// Two tables of handlers for one endpoint.
    #[error("the endpoint {0:?} was given twice: put all its handlers into one `Routes`")]
    EndpointTwice(String),
    /// The handlers of an endpoint make no sense.
    #[error("the endpoint {endpoint:?}: {error}")]
    Routes {
        /// The endpoint.
        endpoint: String,
        /// What is wrong.
        error: RouteError,
    },
    /// A limit that lets nothing through.
    #[error("{0} must be greater than zero")]
    Zero(&'static str),
    /// A policy for a type that is not run.
    #[error("a policy is set for the event type {0:?}, which no handler takes: is its name right?")]
    UnroutedPolicy(String),
    /// The lease is not well above the call timeout.
    #[error(
        "the lease must be at least three times the call timeout: it is renewed at a third, and a renewal may take as long as the timeout"
    )]
    Lease,
}

impl fmt::Debug for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
