//! Makes the table where it is missing. Replicas that start at once make it one after the other.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, Row, Transaction};
use tokio::time::timeout;

use super::statements::{CLAIMS_TABLE, Statements};
use crate::engine::postgres::{Connections, Purpose, Table};
use crate::error::StoreError;

/// The version of the table, kept in the table's comment: every role can read it, and dumps keep
/// it.
const VERSION: u32 = 1;

const MARK: &str = "circa-receiver, version ";

/// How long a migration may take: it may wait for that of another replica.
const MIGRATE_WITHIN: Duration = Duration::from_secs(30);

/// The advisory lock under which replicas migrate one after the other: "circarcv" in ASCII.
const LOCK: i64 = 0x6369_7263_6172_6376;

pub(super) fn mark() -> String {
    format!("{MARK}{VERSION}")
}

pub(super) async fn migrate(connections: &Connections, statements: &Statements) -> Result<(), StoreError> {
    let call = async {
        let mut lent = connections.lend(Purpose::Holder, &statements.table).await?;
        let migrated = in_one_transaction(lent.connection(), statements).await;
        if migrated.is_ok() {
            lent.give_back();
        }
        migrated
    };
    timeout(MIGRATE_WITHIN, call).await.unwrap_or(Err(StoreError::Timeout))
}

async fn in_one_transaction(connection: &mut PgConnection, statements: &Statements) -> Result<(), StoreError> {
    let explain = |error| statements.table.explain(error);
    // Before anything is locked: a role that may only use the table may call this too.
    if is_current(connection, statements).await? {
        return Ok(());
    }
    let mut transaction = locked(connection).await.map_err(explain)?;
    if is_current(&mut transaction, statements).await? {
        return transaction.commit().await.map_err(explain);
    }
    // First, because `CREATE SCHEMA IF NOT EXISTS` needs its privilege even where the schema
    // exists.
    let schema = sqlx::query("SELECT FROM pg_namespace WHERE nspname = $1::text::name").bind(&statements.table.schema);
    if schema.fetch_optional(&mut *transaction).await.map_err(explain)?.is_none() {
        let create = statements.create_schema_sql();
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *transaction).await.map_err(explain)?;
    }
    let script = statements.schema_sql(&mark());
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut *transaction).await.map_err(explain)?;
    transaction.commit().await.map_err(explain)
}

/// Runs a script in one transaction, one replica after the other.
pub(super) async fn run(connections: &Connections, statements: &Statements, script: String) -> Result<(), StoreError> {
    let explain = |error| statements.table.explain(error);
    let call = async {
        let mut lent = connections.lend(Purpose::Holder, &statements.table).await?;
        let mut transaction = locked(lent.connection()).await.map_err(explain)?;
        sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut *transaction).await.map_err(explain)?;
        transaction.commit().await.map_err(explain)?;
        lent.give_back();
        Ok(())
    };
    timeout(MIGRATE_WITHIN, call).await.unwrap_or(Err(StoreError::Timeout))
}

/// A transaction that no other replica's migration runs beside.
async fn locked(connection: &mut PgConnection) -> Result<Transaction<'_, Postgres>, sqlx::Error> {
    // Whatever the session's default is: after the lock, the table of another replica must be
    // visible.
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let seconds = MIGRATE_WITHIN.as_secs();
    let limits = format!("SET LOCAL statement_timeout = '{seconds}s'; SET LOCAL lock_timeout = '{seconds}s'");
    sqlx::raw_sql(AssertSqlSafe(limits)).execute(&mut *transaction).await?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
    Ok(transaction)
}

/// Whether the table exists, as this version makes it.
async fn is_current(connection: &mut PgConnection, statements: &Statements) -> Result<bool, StoreError> {
    let explain = |error| statements.table.explain(error);
    let query = sqlx::query(AssertSqlSafe(statements.usable.clone())).bind(&statements.table.schema);
    // Not kept as a prepared statement: it runs once.
    let row = query.persistent(false).fetch_one(connection).await.map_err(explain)?;
    let present: bool = row.try_get("present").map_err(explain)?;
    let version: Option<String> = row.try_get("version").map_err(explain)?;
    if !present {
        return Ok(false);
    }
    checked(version.as_deref(), &statements.table).map(|()| true)
}

/// The version of a table, and the oldest version that can use it, from the table's comment:
/// `..., version 2, usable by 1`. So an old and a new version can share a table while the new one
/// is rolled out.
fn versions(comment: &str) -> Option<(u32, u32)> {
    let numbers = comment.strip_prefix(MARK)?;
    let (version, usable_by) = numbers.split_once(", usable by ").unwrap_or((numbers, numbers));
    Some((version.parse().ok()?, usable_by.parse().ok()?))
}

/// Whether a table with this comment is one that this version can use.
fn checked(comment: Option<&str>, table: &Table) -> Result<(), StoreError> {
    let Table { schema, store } = table;
    match comment.and_then(versions) {
        Some((_, usable_by)) if (1..=VERSION).contains(&usable_by) => Ok(()),
        Some((newer, _)) => Err(StoreError::Failed(format!(
            "the table {CLAIMS_TABLE} in the schema {schema:?} has version {newer}, made by another circa-receiver; this one knows version {VERSION}: \
             update circa-receiver, or choose another schema"
        ).into())),
        None => Err(StoreError::Failed(format!(
            "the table {CLAIMS_TABLE} in the schema {schema:?} does not say its version: its comment should be {:?}, as `{store}::schema_sql` writes it",
            mark()
        ).into())),
    }
}

/// Whether the answer of the statement `usable` describes a table that claims can be made in.
pub(super) fn usable(row: &sqlx::postgres::PgRow, table: &Table) -> Result<(), StoreError> {
    let get = |column| row.try_get::<Option<bool>, _>(column).map_err(|error| table.explain(error));
    if get("present")? != Some(true) {
        return Err(StoreError::Failed(table.missing().into()));
    }
    let comment: Option<String> = row.try_get("version").map_err(|error| table.explain(error))?;
    checked(comment.as_deref(), table)?;
    if get("writable")? != Some(true) {
        return Err(StoreError::Failed("PostgreSQL: this is a standby: claims need the primary".into()));
    }
    if get("allowed")? != Some(true) {
        return Err(StoreError::Failed(
            "PostgreSQL: the role may not use the table: run what `PostgresStore::grants_sql` says".into(),
        ));
    }
    Ok(())
}
