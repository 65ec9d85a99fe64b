//! The store in a SQLite file: each call is a step of a group that one thread commits.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;

use super::rows::ClaimRows;
use super::schema::SCHEMA;
use crate::dedup::key::Key;
use crate::dedup::store::{ClaimAnswer, ClaimRequest, DedupStore};
use crate::dedup::token::{Nonce, Token};
use crate::engine::sqlite::{SqliteOpenError, Writer, open};
use crate::error::StoreError;

/// Claims in a SQLite file: for one machine, without a server. They outlive the process, and
/// several processes may share the file.
///
/// A call is answered after its transaction has reached the disk (WAL, `synchronous=FULL`). One
/// thread writes, and commits the calls that have queued as one group, so that many deliveries
/// share one flush. An entry with an event id of 40 bytes takes about 170 B of the file. Rows that
/// have ended are removed a few hundred at a time, in the transactions of other calls, and their
/// space is used again.
///
/// # Time
///
/// Leases and retentions end by the system clock of the machine, in milliseconds: the processes
/// that share the file have it in common, and it survives a restart, unlike a monotonic clock or a
/// [`Clock`](crate::Clock) of the receiver. Where that clock is set back, a retention is prolonged
/// by as much, and a lease at most to the lease that the next claim asks for; where it is set
/// ahead, both end early. The token still fences.
///
/// # The file
///
/// The file and its neighbours `-wal` and `-shm` belong to the store. They must be on a local disk:
/// WAL does not work over a network. `-wal` is cut to 64 MiB at most after a checkpoint; while
/// another program reads in a long transaction it can grow beyond. To forget every event, stop the
/// processes and remove the three files. `SELECT * FROM claims` shows the entries.
///
/// # Errors
///
/// Calls fail with [`StoreError`] when the disk does, when another program holds the lock of the
/// file for more than about 1.5 s, and when 1,024 calls wait already; the same store works again
/// when the cause is gone. They also fail when the file was removed or replaced under the running
/// store (on Unix: its path leads to another device or inode), until the process is restarted:
/// SQLite itself would go on with the old file, beside another process with the new one.
///
/// ```no_run
/// use circa_receiver::{Receiver, Secret, SqliteStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?)
///     .dedup(SqliteStore::open("/var/lib/app/claims.sqlite")?)
///     .build()?;
/// # Ok(())
/// # }
/// ```
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the file, and makes it where there is none. Blocks the thread meanwhile: call it
    /// before the application serves.
    ///
    /// # Errors
    ///
    /// [`SqliteOpenError`], which says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        let file = open(path.as_ref(), &SCHEMA)?;
        let path = file.path().to_owned();
        match Writer::start(file, None, |group| ClaimRows::new(group).sweep()) {
            Ok(writer) => Ok(Self { path, writer }),
            Err(error) => Err(SqliteOpenError::Failed { path, source: error.into() }),
        }
    }
}

#[async_trait]
impl DedupStore for SqliteStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let (key, fingerprint, nonce) = (request.key().clone(), request.fingerprint(), request.nonce());
        let lease = request.lease();
        self.writer.ask(move |group| ClaimRows::new(group).claim(&key, fingerprint, nonce, lease)).await
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |group| ClaimRows::new(group).renew(&key, token, lease)).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |group| ClaimRows::new(group).complete(&key, token, retention)).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |group| ClaimRows::new(group).release(&key, token)).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |group| ClaimRows::new(group).withdraw(&key, nonce)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |group| ClaimRows::new(group).forget(&key)).await
    }

    /// Writes to the file. Fails where the file at the path was removed or replaced, as every call
    /// then does.
    async fn check(&self) -> Result<(), StoreError> {
        self.writer.ask(|group| ClaimRows::new(group).touch()).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}
