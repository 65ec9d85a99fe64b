//! What a run takes of its worker: one of the handlers that may run at once, and where its type has
//! a limit of its own, one of those.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Given back when it is dropped.
pub(super) struct RunPermit {
    _of_worker: OwnedSemaphorePermit,
    of_type: Option<OwnedSemaphorePermit>,
    freed: Arc<Notify>,
}

impl RunPermit {
    /// `freed` is notified when the type's permit was given back.
    pub(super) fn new(
        of_worker: OwnedSemaphorePermit,
        of_type: Option<OwnedSemaphorePermit>,
        freed: Arc<Notify>,
    ) -> Self {
        Self { _of_worker: of_worker, of_type, freed }
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        // The worker has not asked for the type's events while all its permits were taken.
        if let Some(permit) = self.of_type.take() {
            drop(permit);
            self.freed.notify_one();
        }
    }
}
