//! The inbox in a SQLite file: each call is a step of a group that one thread commits.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;

use super::rows::InboxRows;
use crate::clock::Clock;
use crate::dedup::{ClaimRows, Key, SCHEMA};
use crate::engine::sqlite::{InjectedClock, SqliteOpenError, Writer, open};
use crate::error::StoreError;
use crate::inbox::accept::{AcceptRequest, Accepted};
use crate::inbox::control::{Change, Failure, Filter, Pause, Record};
use crate::inbox::lease::{Lease, LeaseRequest, Leased};
use crate::inbox::settlement::Settlement;
use crate::inbox::store::Inbox;
use crate::inbox::wake::Wake;
use crate::observe::Stats;

/// An inbox in a SQLite file: for one machine, without a server. It outlives the process, and
/// several processes may share the file: receivers, workers, and a
/// [`SqliteStore`](crate::SqliteStore) of a receiver without an inbox.
///
/// A call is answered after its transaction has reached the disk (WAL, `synchronous=FULL`). One
/// thread writes, and commits the calls that have queued as one group, so that many deliveries
/// share one flush. A stored event takes its body and about 700 B of the file, until its retention
/// ends.
///
/// Your own tables may lie in the file beside those of the inbox, so that one transaction of a
/// handler covers both: see [`complete_in`](Self::complete_in). Open the inbox first, since it
/// refuses the file of another application, and leave `claims` and `inbox*` alone.
///
/// Leases, backoffs and retentions end by the system clock of the machine. What
/// [`SqliteStore`](crate::SqliteStore) says of the file, of the clock and of errors holds here too.
///
/// ```no_run
/// use circa_receiver::{Receiver, Secret, SqliteInbox};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?)
///     .inbox(SqliteInbox::open("/var/lib/app/inbox.sqlite")?)
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct SqliteInbox {
    path: PathBuf,
    writer: Writer,
    pub(super) clock: Option<InjectedClock>,
    wake: Wake,
}

impl SqliteInbox {
    /// Opens the file, and makes it where there is none. Blocks the thread meanwhile: call it
    /// before the application serves.
    ///
    /// # Errors
    ///
    /// [`SqliteOpenError`], which says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        Self::start(path.as_ref(), None)
    }

    /// As [`SqliteInbox::open`], with another clock than the system's, for tests. All that share
    /// the file must have it.
    ///
    /// # Errors
    ///
    /// [`SqliteOpenError`], which says what to do.
    pub fn open_with_clock(path: impl AsRef<Path>, clock: impl Clock) -> Result<Self, SqliteOpenError> {
        Self::start(path.as_ref(), Some(InjectedClock::new(Arc::new(clock))))
    }

    fn start(path: &Path, clock: Option<InjectedClock>) -> Result<Self, SqliteOpenError> {
        let file = open(path, &SCHEMA)?;
        let path = file.path().to_owned();
        match Writer::start(file, clock.clone(), |group| ClaimRows::new(group).sweep()) {
            Ok(writer) => Ok(Self { path, writer, clock, wake: Wake::default() }),
            Err(error) => Err(SqliteOpenError::Failed { path, source: error.into() }),
        }
    }
}

#[async_trait]
impl Inbox for SqliteInbox {
    async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError> {
        let accepted = self.writer.ask(move |group| InboxRows::new(group).accept(&request)).await?;
        if accepted == Accepted::New {
            self.wake.notify();
        }
        Ok(accepted)
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        let (worker, interests) = (request.worker().to_owned(), request.interests().to_vec());
        let (limit, duration) = (request.limit(), request.duration());
        self.writer
            .ask(move |group| InboxRows::new(group).lease(LeaseRequest::new(&worker, &interests, limit, duration)))
            .await
    }

    async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError> {
        self.writer.ask(move |group| InboxRows::new(group).renew(lease, duration)).await
    }

    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError> {
        self.writer.ask(move |group| InboxRows::new(group).settle(lease, &settlement)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |group| ClaimRows::new(group).forget(&key)).await
    }

    async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError> {
        let endpoint = endpoint.to_owned();
        self.writer.ask(move |group| InboxRows::new(group).stats(&endpoint)).await
    }

    async fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>, StoreError> {
        let filter = filter.clone();
        self.writer.ask(move |group| InboxRows::new(group).list(&filter, after, limit)).await
    }

    async fn failures(&self, id: u64) -> Result<Vec<Failure>, StoreError> {
        self.writer.ask(move |group| InboxRows::new(group).failures(id)).await
    }

    async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        let ids = ids.to_vec();
        let changed = self.writer.ask(move |group| InboxRows::new(group).change(&ids, change)).await?;
        self.wake.notify();
        Ok(changed)
    }

    async fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError> {
        let pause = pause.clone();
        let changed = self.writer.ask(move |group| InboxRows::new(group).set_paused(&pause, is_paused)).await?;
        self.wake.notify();
        Ok(changed)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.writer.ask(|group| InboxRows::new(group).pauses()).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.writer.ask(|group| ClaimRows::new(group).touch()).await
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }
}

impl fmt::Debug for SqliteInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteInbox").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use circa_receiver_test_support::Folder;

    use super::*;
    use crate::testing::inbox_tests::Subject;

    /// SQLite tells of a file with all its pages as of a full disk: `SQLITE_FULL`.
    async fn with_few_pages() -> Subject {
        let folder = Folder::new("full");
        let inbox = Arc::new(SqliteInbox::open(folder.path().join("inbox.sqlite")).unwrap());
        let limit = |most: fn(i64) -> i64| {
            let inbox = Arc::clone(&inbox);
            move || {
                let inbox = Arc::clone(&inbox);
                async move { inbox.limit_pages(most).await.unwrap() }
            }
        };
        let (fill, make_room) = (limit(|pages| pages + 100), limit(|pages| pages + 1_000_000));
        Subject::new(inbox, |_| std::future::ready(())).outage(fill, make_room).keep(folder)
    }

    impl SqliteInbox {
        async fn limit_pages(&self, most: fn(i64) -> i64) -> Result<(), StoreError> {
            let limit = move |group: &crate::engine::sqlite::Group<'_>| {
                let pages = group.connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
                group.connection.pragma_update(None, "max_page_count", most(pages))
            };
            self.writer.ask(limit).await
        }
    }

    crate::inbox_tests!(full = with_few_pages);
}
