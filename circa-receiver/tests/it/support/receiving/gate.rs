//! A handler that stands still until it is let go.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use circa_receiver::{PortableHandler, Routes};
use tokio::sync::Semaphore;

use super::routes;

/// A handler that counts its runs and stands still until it is let go.
#[derive(Clone)]
pub(crate) struct Gate {
    started: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    arrivals: Arc<Semaphore>,
    passes: Arc<Semaphore>,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        let semaphore = || Arc::new(Semaphore::new(0));
        Self { started: Arc::default(), ended: Arc::default(), arrivals: semaphore(), passes: semaphore() }
    }

    pub(crate) fn open() -> Self {
        let gate = Self::closed();
        gate.let_go(Semaphore::MAX_PERMITS / 2);
        gate
    }

    /// Lets so many runs pass, those that wait and those to come.
    pub(crate) fn let_go(&self, runs: usize) {
        self.passes.add_permits(runs);
    }

    /// What a handler does: arrive, wait, pass.
    pub(crate) async fn pass(&self) {
        self.started.fetch_add(1, Ordering::SeqCst);
        self.arrivals.add_permits(1);
        self.passes.acquire().await.unwrap().forget();
        self.ended.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until one more run has arrived.
    pub(crate) async fn arrival(&self) {
        self.arrivals.acquire().await.unwrap().forget();
    }

    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// Routes whose only handler passes this gate and succeeds.
    pub(crate) fn routes(&self) -> Routes<PortableHandler<()>> {
        let gate = self.clone();
        routes(move |_| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok(())
            }
        })
    }
}
