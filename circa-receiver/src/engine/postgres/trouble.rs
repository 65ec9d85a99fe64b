//! The class of an error, by its SQLSTATE: whether another try helps.

use sqlx::Error;

/// What an error means for the call that met it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// The connection cannot be used any more: another one may work.
    Connection,
    /// Two transactions collided: a serialization failure or a deadlock.
    Collision,
    /// The server's `statement_timeout` or `lock_timeout` passed.
    TooLate,
    /// Another try does not help.
    Lasting,
}

impl Trouble {
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Io(_) | Error::Protocol(_) | Error::WorkerCrashed => Self::Connection,
            Error::Database(error) => error.code().as_deref().map_or(Self::Lasting, Self::of_code),
            _ => Self::Lasting,
        }
    }

    /// By the SQLSTATE.
    fn of_code(code: &str) -> Self {
        match code {
            // The server shuts down, crashed, starts, or ends idle sessions; became a standby; a
            // transaction was left open.
            "57P01" | "57P02" | "57P03" | "57P05" | "25006" | "25P02" | "25P03" => Self::Connection,
            // A prepared statement is gone (`DISCARD ALL`), belongs to another connection (behind a
            // pooler), or its result has changed (a migration).
            "26000" | "42P05" | "0A000" => Self::Connection,
            code if code.starts_with("08") => Self::Connection,
            "40001" | "40P01" => Self::Collision,
            "57014" | "55P03" => Self::TooLate,
            _ => Self::Lasting,
        }
    }
}
