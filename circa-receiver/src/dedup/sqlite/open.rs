//! How a store's file comes into being, and which files are refused.

use std::{
    fmt,
    path::{Path, PathBuf, absolute},
    thread::sleep,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::rows::SCHEMA;
use crate::error::BoxError;

/// What the file's header says of whose it is: "circ".
const APPLICATION: i64 = 0x6369_7263;

/// The schema's version, in the file's header. The table of another is never touched.
pub(super) const VERSION: i64 = 1;

/// How often the file's lock is asked for, a millisecond apart: a bit less than a receiver waits for its store.
const TRIES_FOR_LOCK: i32 = 1_500;

/// So many pages of 4 KiB gather in `-wal` before they are copied into the file: 32 MiB, eight times SQLite's default. Hashes come in no order, so that each
/// claim writes a page of its own, and a page that was written several times by then is copied once. Not more: the writer waits for the copying, which a slow
/// disk has to do within the store timeout.
const CHECKPOINT: i64 = 8_000;

/// How often opening is tried, 10 ms apart, when another process makes the same file.
const TRIES_TO_OPEN: usize = 200;

/// Why a SQLite file cannot be a store. Says what to do.
///
/// `Debug` says the same as `Display`: it is what a `main` prints that returns this error.
#[non_exhaustive]
#[derive(thiserror::Error)]
pub enum SqliteOpenError {
    /// The directory does not exist.
    #[error("the directory {} does not exist: create it, or give the store another path", .0.display())]
    NoDirectory(PathBuf),
    /// The file is no SQLite database.
    #[error("{} is no SQLite database: give the store a path of its own", .0.display())]
    NotADatabase(PathBuf),
    /// The file is a database of something else.
    #[error("{} is a SQLite database of something else: give the store a file of its own", .0.display())]
    Foreign(PathBuf),
    /// The file was made by another version of this crate.
    #[error(
        "{} has schema version {found}, and this version of circa-receiver knows {VERSION}: use the version that made it, or another path, where nothing is remembered",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
    /// The file system has no shared memory, or the path names no file.
    #[error("{} cannot use WAL (its journal mode is {mode}): put it on a local disk", path.display())]
    NoWal {
        /// The file.
        path: PathBuf,
        /// The journal mode that it has instead.
        mode: String,
    },
    /// SQLite or the system reported an error.
    #[error("{} cannot be opened: {source}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// The error.
        source: BoxError,
    },
}

impl fmt::Debug for SqliteOpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Opens or makes the file, and gives its absolute path with it.
pub(super) fn open(path: &Path) -> Result<(PathBuf, Connection), SqliteOpenError> {
    let path = match absolute(path) {
        Ok(path) => path,
        Err(source) => return Err(SqliteOpenError::Failed { path: path.to_owned(), source: source.into() }),
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
        return Err(SqliteOpenError::NoDirectory(directory.to_owned()));
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match try_open(&path) {
            Ok(Ok(connection)) => return Ok((path, connection)),
            Ok(Err(refused)) => return Err(refused),
            // Changing to WAL does not wait for a lock as other statements do.
            Err(error) if is_busy(&error) && tries < TRIES_TO_OPEN => sleep(Duration::from_millis(10)),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                return Err(SqliteOpenError::NotADatabase(path));
            }
            Err(error) => return Err(SqliteOpenError::Failed { path, source: error.into() }),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn try_open(path: &Path) -> rusqlite::Result<Result<Connection, SqliteOpenError>> {
    // No URIs: a path is a path, whatever stands in it.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait_for_lock))?;
    // Before anything is written: what is not ours stays as it is. In one transaction, so that what another process writes meanwhile is seen whole.
    if let Some(refused) = refuse(&*connection.transaction()?, path)? {
        return Ok(Err(refused));
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Ok(Err(SqliteOpenError::NoWal { path: path.to_owned(), mode }));
    }
    // `fullfsync`: on macOS a plain flush does not reach the disk. The cache is 16 MiB, for the hashes' tree.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA cache_size = -16384;")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Once more under the lock: another process may have been faster.
    if let Some(refused) = refuse(&transaction, path)? {
        return Ok(Err(refused));
    }
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(Ok(connection))
}

fn refuse(connection: &Connection, path: &Path) -> rusqlite::Result<Option<SqliteOpenError>> {
    let header = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let (application, version) = (header("application_id")?, header("user_version")?);
    Ok(match (application, version) {
        (APPLICATION, VERSION) => None,
        (0, 0) if tables == 0 => None,
        (APPLICATION, found) => Some(SqliteOpenError::Version { path: path.to_owned(), found }),
        _ => Some(SqliteOpenError::Foreign(path.to_owned())),
    })
}

/// Not SQLite's own pauses of up to 100 ms: under another process's load they miss every gap between its transactions.
fn wait_for_lock(tries: i32) -> bool {
    sleep(Duration::from_millis(1));
    tries < TRIES_FOR_LOCK
}
