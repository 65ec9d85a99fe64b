//! Making the table, once, whoever comes first.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};
use tokio::time::timeout;

use super::{
    super::StoreError,
    lending::Lent,
    statements::{Statements, TABLE},
    trouble::{missing, told},
};

/// The table's version, which stands in its comment: every role can read that, and dumps keep it.
const VERSION: u32 = 1;

const MARK: &str = "circa-receiver, version ";

/// A migration may wait for another replica's.
const MIGRATE_WITHIN: Duration = Duration::from_secs(30);

/// The advisory lock under which replicas migrate one after the other: "circarcv" in ASCII.
const LOCK: i64 = 0x6369_7263_6172_6376;

pub(super) fn mark() -> String {
    format!("{MARK}{VERSION}")
}

pub(super) async fn migrate(pool: &PgPool, statements: &Statements) -> Result<(), StoreError> {
    let call = async {
        let mut lent = Lent::from(pool, &statements.schema).await?;
        let migrated = in_one_transaction(lent.connection(), statements).await;
        if migrated.is_ok() {
            lent.give_back();
        }
        migrated
    };
    timeout(MIGRATE_WITHIN, call).await.unwrap_or(Err(StoreError::Timeout))
}

async fn in_one_transaction(connection: &mut PgConnection, statements: &Statements) -> Result<(), StoreError> {
    let told = |error| told(error, &statements.schema);
    // Before anything is locked or asked for: a role that may only use the table may call this too.
    if is_current(connection, statements).await? {
        return Ok(());
    }
    // Whatever the session's default: after the lock, what the other replica made must be seen.
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(told)?;
    let seconds = MIGRATE_WITHIN.as_secs();
    let patience = format!("SET LOCAL statement_timeout = '{seconds}s'; SET LOCAL lock_timeout = '{seconds}s'");
    sqlx::raw_sql(AssertSqlSafe(patience)).execute(&mut *transaction).await.map_err(told)?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await.map_err(told)?;
    if is_current(&mut transaction, statements).await? {
        return transaction.commit().await.map_err(told);
    }
    // Asked first: `CREATE SCHEMA IF NOT EXISTS` needs its privilege even where the schema exists.
    let schema = sqlx::query("SELECT FROM pg_namespace WHERE nspname = $1::text::name").bind(&statements.schema);
    if schema.fetch_optional(&mut *transaction).await.map_err(told)?.is_none() {
        let create = statements.create_schema_sql();
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *transaction).await.map_err(told)?;
    }
    let script = statements.schema_sql(&mark());
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut *transaction).await.map_err(told)?;
    transaction.commit().await.map_err(told)
}

/// Whether the table is there, as this version made it.
async fn is_current(connection: &mut PgConnection, statements: &Statements) -> Result<bool, StoreError> {
    let query = sqlx::query(AssertSqlSafe(statements.usable.clone())).bind(&statements.schema);
    // `persistent(false)`: the statement is asked for once.
    let row = query.persistent(false).fetch_one(connection).await.map_err(|error| told(error, &statements.schema))?;
    let present: bool = row.try_get("present").map_err(|error| told(error, &statements.schema))?;
    let version: Option<String> = row.try_get("version").map_err(|error| told(error, &statements.schema))?;
    if !present {
        return Ok(false);
    }
    checked(version.as_deref(), &statements.schema).map(|()| true)
}

/// Whether a table with this comment is one that this version can use.
pub(super) fn checked(comment: Option<&str>, schema: &str) -> Result<(), StoreError> {
    let version =
        comment.and_then(|comment| comment.strip_prefix(MARK)).and_then(|version| version.parse::<u32>().ok());
    match version {
        Some(VERSION) => Ok(()),
        Some(newer) => Err(StoreError::Failed(format!(
            "the table {TABLE} in the schema {schema:?} has version {newer}, made by another circa-receiver; this one knows version {VERSION}: \
             update circa-receiver, or choose another schema"
        ).into())),
        None => Err(StoreError::Failed(format!(
            "the table {TABLE} in the schema {schema:?} does not say its version: its comment should be {:?}, as `PostgresStore::schema_sql` writes it",
            mark()
        ).into())),
    }
}

/// What [`PostgresStore::check`](super::PostgresStore) found.
pub(super) fn usable(row: &sqlx::postgres::PgRow, schema: &str) -> Result<(), StoreError> {
    let get = |column| row.try_get::<Option<bool>, _>(column).map_err(|error| told(error, schema));
    if get("present")? != Some(true) {
        return Err(StoreError::Failed(missing(schema).into()));
    }
    let comment: Option<String> = row.try_get("version").map_err(|error| told(error, schema))?;
    checked(comment.as_deref(), schema)?;
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
