//! What a worker runs for a stored event.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::event::Delivery;
use crate::handler::{HandlerError, PortableHandler};
use crate::inbox::head::StoredHead;

type Running = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send>>;

/// What a worker runs for a stored event: a handler of any framework, its type erased and its state
/// bound.
#[derive(Clone)]
pub struct StoredHandler(Arc<dyn Fn(Delivery, StoredHead) -> Running + Send + Sync>);

impl StoredHandler {
    /// Runs the function with the delivery and what is known of its request's head.
    pub fn new<F>(run: impl Fn(Delivery, StoredHead) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        Self(Arc::new(move |delivery, head| Box::pin(run(delivery, head))))
    }

    /// A portable handler with its state.
    pub(super) fn portable<S: Clone + Send + Sync + 'static>(handler: PortableHandler<S>, state: S) -> Self {
        Self::new(move |delivery, _| handler.call(delivery, state.clone()))
    }

    pub(super) fn call(&self, delivery: Delivery, head: StoredHead) -> Running {
        (self.0)(delivery, head)
    }
}

impl fmt::Debug for StoredHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredHandler").finish_non_exhaustive()
    }
}
