//! What is read from the answers of the statements.

use std::time::{Duration, UNIX_EPOCH};

use sqlx::{Row, postgres::PgRow};

use crate::dedup::Token;
use crate::inbox::accept::Accepted;
use crate::inbox::entry::Entry;
use crate::inbox::lease::{Lease, Leased};
use crate::observe::Stats;

type Read<T> = Result<T, sqlx::Error>;

/// The answer to an accept; `None` where another call came between its read and its insert.
pub(super) fn accepted(row: &PgRow) -> Read<Option<Accepted>> {
    if row.try_get::<Option<i64>, _>("token")?.is_some() {
        return Ok(Some(Accepted::New));
    }
    let Some(done) = row.try_get::<Option<bool>, _>("done")? else { return Ok(None) };
    Ok(Some(match (done, row.try_get("own")?) {
        (true, true) => Accepted::New,
        (true, false) => Accepted::Known { same_body: row.try_get("same_body")? },
        (false, _) => Accepted::InProgress { retry_after: micros(row.try_get("remaining")?) },
    }))
}

pub(super) fn leased(row: &PgRow) -> Read<Leased> {
    let number = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let count = |column| row.try_get::<i32, _>(column).map(i32::unsigned_abs);
    let lease = Lease::new(number("id")?, Token::new(number("token")?));
    let (endpoint, body): (String, Vec<u8>) = (row.try_get("endpoint")?, row.try_get("body")?);
    let (event, event_type): (String, String) = (row.try_get("event")?, row.try_get("type")?);
    let entry = Entry::from_parts(&endpoint, event, event_type, row.try_get::<String, _>("details")?, body.into());
    let arrived = UNIX_EPOCH + micros(row.try_get("arrived")?);
    Ok(Leased::new(lease, entry, arrived, count("attempts")?, count("postponed")?))
}

pub(super) fn stats(row: &PgRow) -> Read<Stats> {
    let count = |column| row.try_get::<i64, _>(column).map(i64::unsigned_abs);
    let (ready, waiting, running, dead) = (count("ready")?, count("waiting")?, count("running")?, count("dead")?);
    let lag = row.try_get::<Option<i64>, _>("lag")?.map(micros);
    Ok(Stats { ready, waiting, running, dead, lag })
}

fn micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}
