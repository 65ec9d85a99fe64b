//! The worker of a receiver with an inbox.

use super::receive::Receiver;
use crate::handler::{PortableHandler, Routes};
use crate::inbox::{StoredHandler, WorkerBuilder, WorkerError};

impl Receiver {
    /// A worker that runs what this receiver accepts, in this process: with its observers, its
    /// retention and its lease. It ends with [`Receiver::shutdown`]. Give it the routes with which
    /// the receiver is asked too.
    ///
    /// ```
    /// # use circa_receiver::{AnyEvent, BoxError, HandlerError, Receiver, Routes, Secret, testing::MemoryInbox};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), BoxError> {
    /// # let secret = Secret::new("whsec_test_0123456789abcdef")?;
    /// # let inbox = MemoryInbox::default();
    /// let receiver = Receiver::circa(secret).inbox(inbox).build()?;
    /// let routes = Routes::new().fallback(async |event: AnyEvent, _state: ()| -> Result<(), HandlerError> {
    ///     println!("{}", event.id());
    ///     Ok(())
    /// });
    /// let worker = receiver.worker(routes, ())?.concurrency(4).build()?;
    /// tokio::spawn(worker.run());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WorkerError::NoInbox`].
    pub fn worker<S: Clone + Send + Sync + 'static>(
        &self,
        routes: Routes<PortableHandler<S>>,
        state: S,
    ) -> Result<WorkerBuilder, WorkerError> {
        Ok(self.builder_of_worker()?.endpoint(self.endpoint(), self.sender(), routes, state))
    }

    /// As [`Receiver::worker`], with handlers of a framework: for adapters.
    ///
    /// # Errors
    ///
    /// [`WorkerError::NoInbox`].
    pub fn worker_of_stored(&self, routes: Routes<StoredHandler>) -> Result<WorkerBuilder, WorkerError> {
        Ok(self.builder_of_worker()?.stored(self.endpoint(), self.sender(), routes))
    }

    /// For middleware, whose service runs while its sender waits: an inbox would never run it.
    ///
    /// # Panics
    ///
    /// If the receiver has an inbox.
    #[track_caller]
    pub fn assert_runs_at_once(&self) {
        assert!(
            self.0.inbox.is_none(),
            "a receiver with an inbox runs its events later, and the service behind a `ReceiverLayer` never: use `webhook(receiver)`"
        );
    }

    fn builder_of_worker(&self) -> Result<WorkerBuilder, WorkerError> {
        let shared = &self.0;
        let inbox = shared.inbox.as_ref().ok_or(WorkerError::NoInbox)?;
        let builder = WorkerBuilder::of_receiver(inbox, &shared.running, &shared.observers);
        let builder = builder.lease(shared.claims.lease()).retention(shared.retention);
        let builder = builder.drain_deadline(shared.drain_deadline);
        Ok(if self.has_tenants() { builder.with_tenants() } else { builder })
    }
}
