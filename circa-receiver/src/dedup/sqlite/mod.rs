//! Claims in a SQLite file: durable on one machine, without a server.
//!
//! One thread writes ([`writer`]), in groups; what it does to the table stands in [`rows`], how the file comes into being in [`open`].

mod open;
mod rows;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;

use self::writer::Writer;

pub use self::open::SqliteOpenError;

use super::{ClaimAnswer, ClaimRequest, DedupStore, Key, Nonce, StoreError, Token};

/// Claims in a SQLite file: for one machine, without a server. They outlive the process, and several processes may share the file.
///
/// Every answer is given after its transaction has reached the disk (WAL, `synchronous=FULL`). A thread of its own writes, and what has queued up to then
/// becomes one transaction: many deliveries at once share one flush. An entry with an event id of 40 bytes takes about 170 B of the file; rows
/// whose time is over are removed a few hundred at a time while others are written, and their space is used again.
///
/// # Time
///
/// Leases and retentions are judged by the system clock of the machine, read by SQLite in milliseconds: processes that share the file have that in
/// common, and it goes on over restarts, which no process's monotonic clock and no [`Clock`](crate::Clock) of a receiver does. A clock that is set back
/// prolongs what is held by as much, one that is set ahead ends it early; the token still fences.
///
/// # The file
///
/// It belongs to the store, with its neighbours `-wal` and `-shm`. It must be on a local disk: WAL does not work over a network. To forget everything,
/// stop the processes and remove the three. `SELECT * FROM claims` shows what is in it.
///
/// # Errors
///
/// Calls fail with [`StoreError`] when the disk does, when another program holds the file's lock for more than about 1.5 s, and when 1,024 calls wait already.
/// The same store works again when the reason is gone.
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
    /// Opens the file, and makes it where there is none. Blocks for as long as that takes: call it before the application serves.
    ///
    /// # Errors
    ///
    /// [`SqliteOpenError`], which says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SqliteOpenError> {
        let (path, connection) = open::open(path.as_ref())?;
        match Writer::start(connection) {
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
        self.writer.ask(move |rows| rows.claim(&key, fingerprint, nonce, lease)).await
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |rows| rows.renew(&key, token, lease)).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |rows| rows.complete(&key, token, retention)).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |rows| rows.release(&key, token)).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |rows| rows.withdraw(&key, nonce)).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        let key = key.clone();
        self.writer.ask(move |rows| rows.forget(&key)).await
    }

    /// Writes to the file, and looks whether it is still there: SQLite itself goes on with a file that was removed, until the process ends.
    async fn check(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let is_there = self.writer.ask(move |rows| rows.touch().map(|()| path.exists())).await?;
        if is_there { Ok(()) } else { Err(StoreError::Failed("the SQLite file was removed while in use".into())) }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}
