//! The effects of a storm on an inbox: a row for each run that books one, in the inbox's database,
//! committed together with the completion of the run.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use circa_receiver::{Completion, PostgresInbox, SqliteInbox};
use rusqlite::{Connection, TransactionBehavior::Immediate};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::task::spawn_blocking;

use crate::BoxError;

/// It would take a second effect of an event: what keeps that out is the completion alone.
const TABLE: &str = "CREATE TABLE storm_effects (event TEXT NOT NULL, pid BIGINT NOT NULL, run BIGINT NOT NULL)";
const BOOK: &str = "INSERT INTO storm_effects (event, pid, run) VALUES ($1, $2, $3)";
const ALL: &str = "SELECT event, pid, run FROM storm_effects";

/// Connections of a process that books in PostgreSQL.
const MAX_CONNECTIONS: u32 = 8;

/// An effect as it was booked, with the run that booked it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Effect {
    pub(super) event: String,
    pub(super) pid: u32,
    pub(super) run: u64,
}

/// Whether the runs of this event book an effect: about half of the events do, so that the other
/// completions are stormed too.
pub(super) fn books(event: &str) -> bool {
    event.bytes().fold(0, u8::wrapping_add).is_multiple_of(2)
}

/// Where effects are booked. The inbox is of the same database. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Effects {
    Sqlite { database: PathBuf, inbox: Arc<SqliteInbox> },
    Postgres { pool: PgPool, inbox: Arc<PostgresInbox> },
}

impl Effects {
    /// In the database of the inbox that this URL names.
    pub(super) fn open(url: &str) -> Result<Self, BoxError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite { database: path.into(), inbox: Arc::new(SqliteInbox::open(path)?) });
        }
        let pool = PgPoolOptions::new().max_connections(MAX_CONNECTIONS).connect_lazy(url)?;
        Ok(Self::Postgres { inbox: Arc::new(PostgresInbox::new(pool.clone())), pool })
    }

    /// Makes the table: once, before there are events.
    pub(super) async fn make_table(&self) -> Result<(), BoxError> {
        match self {
            Self::Sqlite { database, .. } => Connection::open(database)?.execute_batch(TABLE)?,
            Self::Postgres { pool, .. } => {
                sqlx::query(TABLE).execute(pool).await?;
            }
        }
        Ok(())
    }

    /// Books the effect and completes its run, in one commit. An error does not say that neither
    /// has happened: the answer to a commit may be lost.
    pub(super) async fn book(&self, effect: Effect, completion: Completion) -> Result<(), BoxError> {
        match self.clone() {
            // SQLite blocks its thread.
            Self::Sqlite { database, inbox } => {
                spawn_blocking(move || book_in_file(&database, &inbox, &effect, &completion)).await?
            }
            Self::Postgres { pool, inbox } => {
                let mut transaction = pool.begin().await?;
                let book = sqlx::query(BOOK).bind(&effect.event).bind(i64::from(effect.pid));
                book.bind(i64::try_from(effect.run)?).execute(&mut *transaction).await?;
                inbox.complete_in(&mut transaction, &completion).await?;
                Ok(transaction.commit().await?)
            }
        }
    }

    /// All that were booked.
    pub(super) async fn all(&self) -> Result<Vec<Effect>, BoxError> {
        let rows: Vec<(String, i64, i64)> = match self {
            Self::Sqlite { database, .. } => {
                let connection = Connection::open(database)?;
                let mut all = connection.prepare(ALL)?;
                let rows = all.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
                rows.collect::<Result<_, _>>()?
            }
            Self::Postgres { pool, .. } => sqlx::query_as(ALL).fetch_all(pool).await?,
        };
        let effect = |(event, pid, run)| Ok(Effect { event, pid: u32::try_from(pid)?, run: u64::try_from(run)? });
        rows.into_iter().map(effect).collect()
    }
}

fn book_in_file(
    database: &Path,
    inbox: &SqliteInbox,
    effect: &Effect,
    completion: &Completion,
) -> Result<(), BoxError> {
    let mut connection = Connection::open(database)?;
    let transaction = connection.transaction_with_behavior(Immediate)?;
    transaction.execute(BOOK, (&effect.event, effect.pid, i64::try_from(effect.run)?))?;
    inbox.complete_in(&transaction, completion)?;
    Ok(transaction.commit()?)
}
