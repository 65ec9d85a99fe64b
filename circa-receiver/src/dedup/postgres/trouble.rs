//! What can go wrong with the server: what is worth another try, and what the operator is told to do.
//!
//! No message holds a word of the URL but the host, the port and the role.

use sqlx::Error;

use super::{super::StoreError, statements::TABLE};

/// What an error means for the call that met it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The connection is of no use any more: another may do.
    Connection,
    /// Two transactions were in each other's way.
    Collision,
    /// The server gave up waiting, as it was told to.
    TooLate,
    /// Trying again does not help.
    Lasting,
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Io(_) | Error::Protocol(_) | Error::WorkerCrashed => Self::Connection,
            Error::Database(error) => error.code().as_deref().map_or(Self::Lasting, Self::of_code),
            _ => Self::Lasting,
        }
    }

    /// By the SQLSTATE.
    fn of_code(code: &str) -> Self {
        match code {
            // The server shuts down, crashed, starts, or ends idle sessions; was demoted to a standby; a transaction was left open.
            "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "25P02" | "25P03" => Self::Connection,
            // A prepared statement is gone (`DISCARD ALL`), is another's (a pooler between), or its result has changed (a migration).
            "26000" | "42P05" | "0A000" => Self::Connection,
            code if code.starts_with("08") => Self::Connection,
            "40001" | "40P01" => Self::Collision,
            "57014" | "55P03" => Self::TooLate,
            _ => Self::Lasting,
        }
    }
}

/// The error as the receiver and its operator see it.
pub(super) fn told(error: Error, schema: &str) -> StoreError {
    if Trouble::of(&error) == Trouble::TooLate {
        return StoreError::Timeout;
    }
    let hint = error.as_database_error().and_then(|error| error.code()).and_then(|code| hint(&code, schema));
    let hint = hint.or_else(|| match &error {
        Error::Tls(_) if cfg!(not(feature = "postgres-tls")) => {
            Some("turn on circa-receiver's feature `postgres-tls`, or say `sslmode=disable` in the URL".to_owned())
        }
        _ => None,
    });
    let text = match hint {
        Some(hint) => format!("PostgreSQL: {error}; {hint}"),
        None => format!("PostgreSQL: {error}"),
    };
    StoreError::Failed(text.into())
}

/// No connection to be had, which is the server's fault or the pool's.
pub(super) fn no_connection(within: std::time::Duration) -> StoreError {
    StoreError::Failed(format!(
        "PostgreSQL: no connection within {within:?}: the server cannot be reached, or all connections of the pool are in use"
    ).into())
}

pub(super) fn missing(schema: &str) -> String {
    format!(
        "the table {TABLE} is missing in the schema {schema:?}: call `PostgresStore::migrate` once, or run what `PostgresStore::schema_sql` says"
    )
}

fn hint(code: &str, schema: &str) -> Option<String> {
    Some(match code {
        "42P01" | "3F000" => missing(schema),
        "42501" => format!(
            "the role needs USAGE on the schema {schema:?} and the sequence and SELECT, INSERT, UPDATE, DELETE on the table, which \
             `PostgresStore::grants_sql` spells; `migrate` needs CREATE on the schema"
        ),
        "25006" => "this is a standby or a read-only session: claims need the primary".to_owned(),
        "26000" | "42P05" => {
            "a pooler between must keep prepared statements: pgbouncer 1.21 or later with `max_prepared_statements`, or session pooling"
                .to_owned()
        }
        "08P01" => "behind pgbouncer: `ignore_startup_parameters = extra_float_digits, options`".to_owned(),
        _ => return None,
    })
}
