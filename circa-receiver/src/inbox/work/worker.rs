//! Leases what is due, and starts a run for each; `job` has its lease renewed, by `run::keeper`.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::{Instant, sleep},
};

use super::defaults;
use super::job::Job;
use super::measure::measure;
use super::prune::prune;
use super::shared::Shared;
use crate::error::StoreError;
use crate::inbox::lease::LeaseRequest;
use crate::observe::StoreOperation;
use crate::run::HARD_END;

/// How many events one lease takes at most: a worker with much room leaves something to others.
const BATCH: usize = 64;

/// Runs the events that an inbox holds. Cheap to clone; clones are the same worker.
///
/// While the inbox is away the worker asks again for ever, with pauses up to 5 s, and is not
/// [healthy](Worker::is_healthy). What is said of attempts, leases and failures is in the contract,
/// section 8a.
///
#[cfg_attr(feature = "testing", doc = "```")]
#[cfg_attr(not(feature = "testing"), doc = "```ignore")]
/// use circa_receiver::{AnyEvent, BoxError, HandlerError, Routes, Sender, Worker, testing::MemoryInbox};
///
/// async fn pulled(event: AnyEvent, _state: ()) -> Result<(), HandlerError> {
///     println!("{}", event.id());
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// // In production SqliteInbox or PostgresInbox, which receivers of other processes share.
/// let inbox = MemoryInbox::default();
/// let routes = Routes::new().fallback(pulled);
/// let worker = Worker::builder(inbox).endpoint("circa", Sender::CIRCA, routes, ()).concurrency(4).build()?;
/// let running = tokio::spawn(worker.clone().run());
/// // At SIGTERM:
/// worker.shutdown().await;
/// running.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Worker(Arc<Shared>);

impl Worker {
    /// Runs events until [`Worker::shutdown`], or that of its receiver. Ends when all runs have
    /// ended, or have been given back after the drain deadline; at most 3 s after it.
    pub async fn run(self) {
        let Self(shared) = self;
        let runs = async {
            tokio::select! {
                biased;
                () = start_runs(&shared) => {}
                never = measure(&shared) => match never {},
                never = prune(&shared) => match never {},
            }
            let _ = shared.permits.acquire_many(shared.concurrency).await;
        };
        tokio::select! {
            biased;
            () = runs => {}
            () = hard_end(&shared) => {}
        }
    }

    /// Runs what is due now, and what becomes due meanwhile, until nothing is, and says how many
    /// runs there were: for tests. What waits for its backoff is left alone.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    pub async fn drain(&self) -> Result<usize, StoreError> {
        let Self(shared) = self;
        let mut runs = 0;
        loop {
            let jobs = lease(shared, free(shared).await).await?;
            if jobs.is_empty() {
                return Ok(runs);
            }
            runs += jobs.len();
            let mut running: JoinSet<()> = jobs.into_iter().map(Job::run).collect();
            while running.join_next().await.is_some() {}
        }
    }

    /// Leases nothing more, lets running handlers end until the drain deadline (default 20 s), then
    /// drops the rest and gives their events back. A worker of a receiver stops the receiver too.
    pub async fn shutdown(&self) {
        self.0.running.drain(Instant::now() + self.0.drain_deadline).await;
    }

    /// Whether the inbox answers: the last time that it was asked for events, or, where all runs
    /// wait to be settled, to settle one.
    pub fn is_healthy(&self) -> bool {
        !self.0.is_away()
    }

    /// The worker's name, which the inbox keeps with each run.
    pub fn name(&self) -> &str {
        &self.0.name
    }
}

/// Leases what is due and starts a run for each, until the worker is stopped.
async fn start_runs(shared: &Arc<Shared>) {
    let mut wakes = shared.calls.inbox().wake().subscribe();
    let mut pauses = defaults::AWAY_PAUSES;
    loop {
        let permits = tokio::select! {
            biased;
            () = shared.running.intake_ended() => return,
            permits = free(shared) => permits,
        };
        wakes.mark_unchanged();
        let jobs = match lease(shared, permits).await {
            Ok(jobs) => jobs,
            Err(_) => {
                sleep_unless_stopped(shared, pauses.next()).await;
                continue;
            }
        };
        pauses = defaults::AWAY_PAUSES;
        if jobs.is_empty() {
            tokio::select! {
                _ = wakes.changed() => {}
                () = shared.freed.notified() => {}
                () = sleep_unless_stopped(shared, defaults::POLL) => {}
            }
        }
        for job in jobs {
            tokio::spawn(job.run());
        }
    }
}

/// Permits of the handlers that may run at once: one at least, and at most a batch.
async fn free(shared: &Shared) -> OwnedSemaphorePermit {
    let mut permits = Arc::clone(&shared.permits).acquire_owned().await.expect("the semaphore is never closed");
    while permits.num_permits() < BATCH {
        match Arc::clone(&shared.permits).try_acquire_owned() {
            Ok(permit) => permits.merge(permit),
            Err(_) => break,
        }
    }
    permits
}

/// Leases as many events as there are permits.
async fn lease(shared: &Arc<Shared>, mut permits: OwnedSemaphorePermit) -> Result<Vec<Job>, StoreError> {
    let asked = Instant::now();
    // Entered before the lease: shutdown waits until whatever is leased is settled.
    let Some(_visit) = shared.running.enter() else { return Ok(Vec::new()) };
    let interests = shared.interests();
    let request = LeaseRequest::new(&shared.name, &interests, permits.num_permits(), shared.lease);
    let leased = shared.calls.lease(request).await;
    for endpoint in &shared.endpoints {
        let (operation, elapsed) = (StoreOperation::Lease, asked.elapsed());
        shared.observers.tell(|observer| observer.store_called(&endpoint.name, operation, elapsed));
    }
    shared.note_answer(StoreOperation::Lease, leased.as_ref().err());
    let (mut jobs, mut given_back) = (Vec::new(), JoinSet::new());
    for leased in leased? {
        let permit = permits.split(1).and_then(|permit| shared.permit(leased.entry(), permit));
        match (shared.running.enter(), permit) {
            (Some(visit), Some(permit)) => jobs.push(Job::new(Arc::clone(shared), leased, asked, visit, permit)),
            // The worker was stopped meanwhile, or the type has reached its limit.
            _ => _ = given_back.spawn(Job::give_back(Arc::clone(shared), leased)),
        }
    }
    given_back.join_all().await;
    Ok(jobs)
}

async fn sleep_unless_stopped(shared: &Shared, wait: Duration) {
    tokio::select! {
        () = sleep(wait) => {}
        () = shared.running.intake_ended() => {}
    }
}

/// Waits until runs that go on after the drain are not waited for any more.
async fn hard_end(shared: &Shared) {
    shared.running.drain_ended().await;
    sleep(HARD_END).await;
}

impl From<Shared> for Worker {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("name", &self.0.name).finish_non_exhaustive()
    }
}
