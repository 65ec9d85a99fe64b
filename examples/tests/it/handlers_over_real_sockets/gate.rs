//! The handler of these tests: it says when it starts and ends, and ends when the test lets it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use circa_receiver::{Delivery, Observer};
use tokio::sync::Semaphore;

/// A hang fails the test instead of blocking it.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A handler that tells when it starts and ends, and waits for leave to end; and all that can be
/// told of its deliveries.
#[derive(Clone)]
pub(super) struct Gate(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) authenticated: Semaphore,
    pub(super) started: Semaphore,
    pub(super) leave: Semaphore,
    pub(super) ended: Semaphore,
    /// Handlers that have succeeded, and whose events are marked done.
    pub(super) handled: Semaphore,
    /// Requests whose future is gone: answered, or dropped because the sender has hung up.
    pub(super) gone: Semaphore,
    runs: AtomicUsize,
    /// The status with which the first run ends; all others succeed.
    first_run: FirstRun,
}

pub(super) type FirstRun = fn() -> u16;

impl Gate {
    pub(super) fn new(first_run: FirstRun) -> Self {
        let [authenticated, started, leave, ended, handled, gone] = [(); 6].map(|()| Semaphore::new(0));
        let runs = AtomicUsize::new(0);
        Self(Arc::new(Inner { authenticated, started, leave, ended, handled, gone, runs, first_run }))
    }

    pub(super) async fn pass(&self) -> u16 {
        let run = self.0.runs.fetch_add(1, Ordering::SeqCst);
        self.0.started.add_permits(1);
        wait(&self.0.leave).await;
        self.0.ended.add_permits(1);
        if run == 0 { (self.0.first_run)() } else { succeed() }
    }

    pub(super) fn runs(&self) -> usize {
        self.0.runs.load(Ordering::SeqCst)
    }
}

impl Observer for Gate {
    fn authenticated(&self, _: &Delivery) {
        self.0.authenticated.add_permits(1);
    }

    fn handled(&self, _: &Delivery, _: Duration) {
        self.0.handled.add_permits(1);
    }
}

pub(super) fn succeed() -> u16 {
    204
}

pub(super) async fn wait(semaphore: &Semaphore) {
    wait_for(1, semaphore).await;
}

pub(super) async fn wait_for(count: u32, semaphore: &Semaphore) {
    let permits = tokio::time::timeout(PATIENCE, semaphore.acquire_many(count)).await;
    permits.expect("the signal comes").unwrap().forget();
}

/// Held by the future of a request: tells that it is gone.
pub(super) struct Presence(pub(super) Gate);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.0.gone.add_permits(1);
    }
}
