//! Opens or makes a SQLite file, and refuses one of another application or version before anything
//! is written to it.

use std::{
    fmt,
    path::{Path, PathBuf, absolute},
    thread::sleep,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::file::File;
use crate::error::BoxError;

/// The schema of a file, and the numbers in the file's header by which it is known again.
pub(crate) struct Schema {
    /// Statements that make the tables where they are missing.
    pub(crate) sql: &'static str,
    /// SQLite's `application_id`: a file that has another one is never written to.
    pub(crate) application: i64,
    /// The version of the tables.
    pub(crate) version: i64,
    /// The oldest version that can use these tables. A file says both in SQLite's `user_version`,
    /// and one that says it cannot be used by this version is never written to.
    pub(crate) usable_by: i64,
}

impl Schema {
    /// As SQLite's `user_version` has it: 2,001 is version 2, usable by 1.
    fn user_version(&self) -> i64 {
        self.version * VERSIONS + self.usable_by
    }
}

/// The factor between the two numbers in `user_version`.
const VERSIONS: i64 = 1_000;

/// The version of a file's tables, and the oldest version that can use them, from its
/// `user_version`.
fn versions(user_version: i64) -> (i64, i64) {
    // Version 1 wrote its number alone.
    if user_version < VERSIONS {
        (user_version, user_version)
    } else {
        (user_version / VERSIONS, user_version % VERSIONS)
    }
}

/// How often the lock of the file is tried, 1 ms apart: 1.5 s, below the receiver's store timeout
/// of 2 s.
const TRIES_FOR_LOCK: i32 = 1_500;

/// A checkpoint copies the WAL into the file when it has so many pages of 4 KiB: 32 MiB, eight
/// times SQLite's default. Hashes are in no order, so that each claim writes another page; a page
/// that was written several times is copied once. Not more, because the writer waits for the
/// checkpoint, and a slow disk must end it within the store timeout.
const CHECKPOINT: i64 = 8_000;

/// The WAL is cut to 64 MiB after a checkpoint, twice what it has between two checkpoints. Without
/// a limit it keeps the size that it reached beside a reader that was open for long.
const WAL_LIMIT: i64 = 64 << 20;

/// How often opening is tried, 10 ms apart, while another process makes the same file.
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
        "{} has schema version {found}, and this version of circa-receiver knows {known}: use the version that made it, or another path, where nothing is remembered",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The version that this crate makes and uses.
        known: i64,
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

/// Opens or makes the file.
pub(crate) fn open(path: &Path, schema: &Schema) -> Result<File, SqliteOpenError> {
    let path = match absolute(path) {
        Ok(path) => path,
        Err(source) => return Err(SqliteOpenError::Failed { path: path.to_owned(), source: source.into() }),
    };
    if let Some(directory) = path.parent().filter(|directory| !directory.is_dir()) {
        return Err(SqliteOpenError::NoDirectory(directory.to_owned()));
    }
    let mut tries = 0;
    let connection = loop {
        tries += 1;
        match try_open(&path, schema) {
            Ok(Ok(connection)) => break connection,
            Ok(Err(refused)) => return Err(refused),
            // The change to WAL does not wait for a lock as other statements do.
            Err(error) if is_busy(&error) && tries < TRIES_TO_OPEN => sleep(Duration::from_millis(10)),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                return Err(SqliteOpenError::NotADatabase(path));
            }
            Err(error) => return Err(SqliteOpenError::Failed { path, source: error.into() }),
        }
    };
    File::new(path.clone(), connection).map_err(|source| SqliteOpenError::Failed { path, source: source.into() })
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn try_open(path: &Path, schema: &Schema) -> rusqlite::Result<Result<Connection, SqliteOpenError>> {
    // No URIs: every character of a path stands for itself.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait_for_lock))?;
    // Before anything is written, so that the file of another application is left alone. In a
    // transaction, so that what another process writes meanwhile is seen as a whole.
    if let Some(refused) = refuse(&*connection.transaction()?, path, schema)? {
        return Ok(Err(refused));
    }
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Ok(Err(SqliteOpenError::NoWal { path: path.to_owned(), mode }));
    }
    configure(&connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Once more under the lock: another process may have been faster.
    if let Some(refused) = refuse(&transaction, path, schema)? {
        return Ok(Err(refused));
    }
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // The tables of a newer version are left as they are.
    if versions(found).0 <= schema.version {
        transaction.execute_batch(schema.sql)?;
        transaction.pragma_update(None, "application_id", schema.application)?;
        transaction.pragma_update(None, "user_version", schema.user_version())?;
    }
    transaction.commit()?;
    Ok(Ok(connection))
}

/// Every commit reaches the disk before it is answered.
fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    // On macOS a plain flush does not reach the disk.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // In KiB: 16 MiB, so that the index of hashes stays in memory.
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)
}

fn refuse(connection: &Connection, path: &Path, schema: &Schema) -> rusqlite::Result<Option<SqliteOpenError>> {
    let header = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let (application, user_version) = (header("application_id")?, header("user_version")?);
    let (found, usable_by) = versions(user_version);
    let is_usable = application == schema.application && (1..=schema.version).contains(&usable_by);
    Ok(if is_usable || (application, user_version, tables) == (0, 0, 0) {
        None
    } else if application == schema.application {
        Some(SqliteOpenError::Version { path: path.to_owned(), found, known: schema.version })
    } else {
        Some(SqliteOpenError::Foreign(path.to_owned()))
    })
}

/// Not SQLite's own pauses of up to 100 ms: beside another busy process they miss every gap between
/// its transactions.
fn wait_for_lock(tries: i32) -> bool {
    sleep(Duration::from_millis(1));
    tries < TRIES_FOR_LOCK
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Neither `NORMAL` nor `OFF`: in WAL mode both answer a commit before it has reached the disk.
    #[test]
    fn every_commit_reaches_the_disk_before_it_is_answered() {
        const FULL: i64 = 2;
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        configure(&connection).unwrap();
        let setting = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!((setting("synchronous"), setting("fullfsync")), (FULL, 1));
    }
}
