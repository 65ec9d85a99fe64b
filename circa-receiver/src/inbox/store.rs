//! The trait of an inbox.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::accept::{AcceptRequest, Accepted};
use super::control::{Change, Failure, Filter, Pause, Record};
use super::lease::{Lease, LeaseRequest, Leased};
use super::settlement::Settlement;
use super::wake::Wake;
use crate::dedup::Key;
use crate::error::StoreError;
use crate::observe::Stats;

/// Where events are kept until they are handled. Every operation is one atomic step, and is durable
/// before it is answered.
///
/// An event is ready, running under a [`Lease`], done, or dead. The inbox's clock rules, never the
/// caller's. A lease's token fences: `renew` and `settle` do nothing, and say so, if another worker
/// has leased the event since. Calls are bounded in time by their callers, and may be dropped at
/// any await.
///
/// It is a trait of its own, and not the one of dedup stores, because not every store is durable:
/// Redis answers before a write is on disk.
///
#[cfg_attr(feature = "sqlite", doc = "```no_run")]
#[cfg_attr(not(feature = "sqlite"), doc = "```ignore")]
/// use circa_receiver::{
///     SqliteInbox,
///     inbox::{Inbox, Interest, LeaseRequest, Settlement},
/// };
/// # use std::time::Duration;
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let inbox = SqliteInbox::open("/var/lib/app/inbox.sqlite")?;
/// // What a worker does:
/// let interests = [Interest::all("circa")];
/// for leased in inbox.lease(LeaseRequest::new("worker-1", &interests, 10, Duration::from_secs(60))).await? {
///     println!("{}, attempt {}", leased.entry().event_id(), leased.attempt());
///     let retention = Duration::from_secs(72 * 3_600);
///     inbox.settle(leased.lease(), Settlement::Complete { retention }).await?;
/// }
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Keeps an event and puts it in the queue, unless it is known. Repeated with its nonce, it
    /// answers as the first time.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the event may not be durable; the delivery is then answered 503.
    async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError>;

    /// Leases events that are due: ready ones whose time has come, and running ones whose lease has
    /// lapsed, which counts as an attempt that failed. Of each interest, in their order, roughly
    /// the oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed. What was leased and not answered lapses.
    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError>;

    /// Prolongs a lease, from now. `false` if another worker has leased the event since, or it is
    /// settled.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError>;

    /// Ends a run. `false` if another worker has leased the event since, or it is settled.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed. It may have happened; repeated, it is then answered
    /// `false`.
    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError>;

    /// Forgets an event that is done, so that it is accepted again when it comes again. `false` if
    /// it was not done.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    async fn forget(&self, key: &Key) -> Result<bool, StoreError>;

    /// What the inbox holds of an endpoint's events, those of its tenants included.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError>;

    /// Lists the events that a filter covers, in order of arrival: at most `limit`, behind the one
    /// with the number `after`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    async fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// Lists the attempts of an event that failed, by the inbox's number of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    async fn failures(&self, id: u64) -> Result<Vec<Failure>, StoreError>;

    /// Changes events by their numbers, and says how many were changed. [`Replay`](super::Replay)
    /// replays by a filter and at a rate.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError>;

    /// Pauses an endpoint or one type of its events, or resumes it: they are accepted meanwhile and
    /// not run, by any worker. `false` if it was so before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    async fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError>;

    /// What is paused.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;

    /// Whether the inbox can be reached and used, for health checks.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where it cannot.
    async fn check(&self) -> Result<(), StoreError>;

    /// Notified by this process whenever an event became ready. Workers also look by themselves.
    fn wake(&self) -> &Wake;
}

/// An inbox that others hold too.
#[async_trait]
impl<I: Inbox + ?Sized> Inbox for Arc<I> {
    async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError> {
        (**self).accept(request).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        (**self).lease(request).await
    }

    async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError> {
        (**self).renew(lease, duration).await
    }

    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError> {
        (**self).settle(lease, settlement).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        (**self).forget(key).await
    }

    async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError> {
        (**self).stats(endpoint).await
    }

    async fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>, StoreError> {
        (**self).list(filter, after, limit).await
    }

    async fn failures(&self, id: u64) -> Result<Vec<Failure>, StoreError> {
        (**self).failures(id).await
    }

    async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        (**self).change(ids, change).await
    }

    async fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError> {
        (**self).set_paused(pause, is_paused).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        (**self).pauses().await
    }

    async fn check(&self) -> Result<(), StoreError> {
        (**self).check().await
    }

    fn wake(&self) -> &Wake {
        (**self).wake()
    }
}
