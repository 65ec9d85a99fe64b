//! Detects a pooler that loses prepared statements, such as PgBouncer in transaction mode before
//! version 1.21.
//!
//! Such a pooler gives a connection another server process for each transaction. With one
//! connection in use that is the same process each time, so that a start succeeds, and calls fail
//! only under load. Here a second connection holds the server process in a transaction while the
//! first one uses a statement that it has prepared.

use sqlx::{Connection, Error, PgConnection, postgres::PgConnectOptions};

use super::lending::{Connections, Purpose};
use super::table::Table;
use crate::error::StoreError;

/// Whether prepared statements were seen to be kept. `false` where no second connection could be
/// made.
///
/// # Errors
///
/// Where they are lost, or the server failed.
pub(crate) async fn keeps_statements(connections: &Connections, table: &Table) -> Result<bool, StoreError> {
    let mut lent = connections.lend(Purpose::Holder, table).await?;
    let kept = in_two_processes(lent.connection(), &connections.pool().connect_options()).await;
    match kept {
        Ok(kept) => {
            lent.give_back();
            Ok(kept)
        }
        Err(error) if is_lost(&error) => Err(StoreError::Failed(
            "PostgreSQL: a pooler loses prepared statements between transactions: with PgBouncer set `pool_mode = session`, or use \
             version 1.21 or later with `max_prepared_statements = 200`; or connect to the server itself"
                .into(),
        )),
        Err(error) => Err(table.explain(error)),
    }
}

async fn in_two_processes(first: &mut PgConnection, options: &PgConnectOptions) -> Result<bool, Error> {
    const STATEMENT: &str = "SELECT pg_backend_pid()";
    sqlx::query(STATEMENT).execute(&mut *first).await?;
    let Ok(mut second) = PgConnection::connect_with(options).await else { return Ok(false) };
    let mut transaction = second.begin().await?;
    sqlx::raw_sql("SELECT 1").execute(&mut *transaction).await?;
    let again = sqlx::query(STATEMENT).execute(&mut *first).await;
    transaction.rollback().await?;
    second.close().await?;
    again.map(|_| true)
}

/// By the SQLSTATE: the statement does not exist, or exists already, prepared by another
/// connection.
fn is_lost(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "26000" || code == "42P05")
}
