//! Detects a pooler that loses prepared statements, such as PgBouncer in transaction mode before
//! version 1.21.
//!
//! Such a pooler gives a connection another server process for each transaction. With one
//! connection in use that is the same process each time, so that a start succeeds, and calls fail
//! only under load. Here a second connection holds the server process in a transaction while the
//! first one uses a statement that it has prepared.
//!
//! Drivers name statements by counting. Another process may have a statement of the same name, left
//! by an earlier connection. The one prepared here returns a number of its own, which no other
//! returns.

use std::hash::{BuildHasher, Hasher, RandomState};

use sqlx::{AssertSqlSafe, Connection, Error, PgConnection, Row};
use tokio::time::{error::Elapsed, timeout};

use super::lending::{Connections, Purpose};
use super::table::Table;
use crate::error::StoreError;

/// Whether prepared statements were seen to be kept. `false` where no second connection could be
/// made in time.
///
/// # Errors
///
/// Where they are lost, or the server failed.
pub(crate) async fn keeps_statements(connections: &Connections, table: &Table) -> Result<bool, StoreError> {
    let mut lent = connections.lend(Purpose::Holder, table).await?;
    let options = connections.pool().connect_options();
    let second = timeout(connections.within(), PgConnection::connect_with(&options));
    let seen = in_two_processes(lent.connection(), second).await;
    match seen {
        Ok(Statements::Lost) => Err(lost()),
        Err(error) if is_lost(&error) => Err(lost()),
        Ok(seen) => {
            lent.put_back().await;
            Ok(seen == Statements::Kept)
        }
        Err(error) => Err(table.explain(error)),
    }
}

/// What was seen of prepared statements.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Statements {
    Kept,
    Lost,
    /// No second connection could be made in time.
    Unknown,
}

async fn in_two_processes(
    first: &mut PgConnection,
    second: impl Future<Output = Result<Result<PgConnection, Error>, Elapsed>>,
) -> Result<Statements, Error> {
    let number = RandomState::new().build_hasher().finish().to_string();
    let statement = format!("SELECT '{number}'::text");
    let ask = || sqlx::query(AssertSqlSafe(statement.clone()));
    ask().fetch_one(&mut *first).await?;
    let Ok(Ok(mut second)) = second.await else { return Ok(Statements::Unknown) };
    let mut transaction = second.begin().await?;
    sqlx::raw_sql("SELECT 1").execute(&mut *transaction).await?;
    let again = ask().fetch_one(&mut *first).await;
    transaction.rollback().await?;
    second.close().await?;
    let is_its_own = again?.try_get::<String, _>(0).is_ok_and(|again| again == number);
    Ok(if is_its_own { Statements::Kept } else { Statements::Lost })
}

fn lost() -> StoreError {
    StoreError::Failed(
        "PostgreSQL: a pooler loses prepared statements between transactions: with PgBouncer set `pool_mode = session`, or use \
         version 1.21 or later with `max_prepared_statements = 200`; or connect to the server itself"
            .into(),
    )
}

/// By the SQLSTATE: the statement does not exist, or exists already, prepared by another
/// connection.
fn is_lost(error: &Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "26000" || code == "42P05")
}
