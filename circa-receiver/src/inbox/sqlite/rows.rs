//! The tables of the inbox, and the operations on them, in a transaction that holds the lock of the
//! file.

use std::time::{Duration, UNIX_EPOCH};

use rusqlite::{Connection, Result, Row, named_params, params};

use crate::completion::Completion;
use crate::dedup::{ClaimRows, Kept, Token};
use crate::engine::sqlite::Group;
use crate::inbox::accept::{AcceptRequest, Accepted};
use crate::inbox::control::State;
use crate::inbox::entry::Entry;
use crate::inbox::lease::{Interest, Lease, LeaseRequest, Leased};
use crate::inbox::settlement::{Cause, Settlement};
use crate::observe::Stats;

/// An endpoint and those of its tenants: `0` is the character behind `/`.
const WITH_TENANTS: &str = "(endpoint = :endpoint OR endpoint > :endpoint || '/' AND endpoint < :endpoint || '0')";

/// What a worker whose process ended leaves behind.
const LAPSED: &str = "the lease lapsed: the process ended, or stood still";

/// The tables, in the transaction of a group.
pub(super) struct InboxRows<'a> {
    pub(super) connection: &'a Connection,
    pub(super) claims: ClaimRows<'a>,
    /// In milliseconds since 1970.
    pub(super) now: i64,
}

impl<'a> InboxRows<'a> {
    pub(super) fn new(group: &Group<'a>) -> Self {
        Self { connection: group.connection, claims: ClaimRows::new(group), now: group.now }
    }

    pub(super) fn accept(&self, request: &AcceptRequest) -> Result<Accepted> {
        let (entry, nonce) = (request.entry(), request.nonce().get().to_be_bytes());
        let id = match self.claims.keep(&entry.key(), entry.fingerprint())? {
            Kept::New(id) => id,
            Kept::Known { row, same_body } => {
                let own = "SELECT 1 FROM inbox WHERE id = ?1 AND nonce = ?2";
                let repeated = self.connection.prepare_cached(own)?.exists(params![row, nonce])?;
                return Ok(if repeated { Accepted::New } else { Accepted::Known { same_body } });
            }
            Kept::InProgress { retry_after } => return Ok(Accepted::InProgress { retry_after }),
        };
        let (state, cause) = match request.why_unreadable() {
            None => (State::Ready, None),
            Some(_) => (State::Dead, Some(Cause::Unreadable.code())),
        };
        self.write(
            "INSERT INTO inbox (id, endpoint, type, event, state, due, token, attempts, postponed, arrived, nonce, cause, error)
             VALUES (:id, :endpoint, :type, :event, :state, :now, 0, 0, 0, :now, :nonce, :cause, :error)",
            named_params! {
                ":id": id, ":endpoint": entry.endpoint(), ":type": entry.event_type(), ":event": entry.event_id(),
                ":state": state.code(), ":now": self.now, ":nonce": nonce, ":cause": cause, ":error": request.why_unreadable(),
            },
        )?;
        self.write(
            "INSERT INTO inbox_bodies (id, details, body) VALUES (:id, :details, :body)",
            named_params! { ":id": id, ":details": entry.details(), ":body": &entry.body()[..] },
        )?;
        Ok(Accepted::New)
    }

    pub(super) fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>> {
        let mut found = Vec::new();
        for interest in request.interests() {
            for id in self.due(interest, interest.limit().min(request.limit() - found.len()))? {
                found.push(self.take(id, &request)?);
            }
        }
        Ok(found)
    }

    /// The oldest rows that are due, and not paused.
    fn due(&self, interest: &Interest, limit: usize) -> Result<Vec<i64>> {
        // Without tenants rows are found in the order of time, by their index.
        let here = if interest.has_tenants() { WITH_TENANTS } else { "endpoint = :endpoint" };
        let mut due = self.connection.prepare_cached(&format!(
            "SELECT id FROM inbox WHERE state < 2 AND {here} AND due <= :now
             AND (:types IS NULL OR type IN (SELECT value FROM json_each(:types)))
             AND type NOT IN (SELECT value FROM json_each(:except))
             AND NOT EXISTS (SELECT 1 FROM inbox_pauses AS paused
                 WHERE paused.endpoint = inbox.endpoint AND paused.type IN ('', inbox.type))
             ORDER BY due LIMIT :limit"
        ))?;
        let types = interest.types().map(|types| serde_json::json!(types).to_string());
        let except = serde_json::json!(interest.except()).to_string();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let parameters = named_params! {
            ":endpoint": interest.endpoint(), ":now": self.now, ":types": types, ":except": except, ":limit": limit,
        };
        due.query_map(parameters, |row| row.get(0))?.collect()
    }

    fn take(&self, id: i64, request: &LeaseRequest<'_>) -> Result<Leased> {
        // A lease that lapsed is an attempt that failed.
        self.write(
            "INSERT INTO inbox_failures (id, attempt, worker, started, ended, error)
             SELECT id, attempts, worker, started, :now, :lapsed FROM inbox WHERE id = :id AND state = 1",
            named_params! { ":id": id, ":now": self.now, ":lapsed": LAPSED },
        )?;
        self.write(
            "UPDATE inbox SET state = 1, due = :due, token = token + 1, attempts = attempts + 1, worker = :worker, started = :now
             WHERE id = :id",
            named_params! { ":id": id, ":due": self.after(request.duration()), ":worker": request.worker(), ":now": self.now },
        )?;
        let mut taken = self.connection.prepare_cached(
            "SELECT id, token, endpoint, event, type, details, body, arrived, attempts, postponed
             FROM inbox JOIN inbox_bodies USING (id) WHERE id = ?1",
        )?;
        taken.query_row([id], leased)
    }

    pub(super) fn renew(&self, lease: Lease, duration: Duration) -> Result<bool> {
        self.write(
            "UPDATE inbox SET due = :due WHERE id = :id AND token = :token AND state = 1",
            named_params! { ":id": number(lease.id()), ":token": number(lease.token().get()), ":due": self.after(duration) },
        )
    }

    pub(super) fn settle(&self, lease: Lease, settlement: &Settlement) -> Result<bool> {
        let id = number(lease.id());
        match settlement {
            Settlement::Complete { retention } => self.finish(lease, *retention),
            Settlement::CompleteWithoutBody { retention } => {
                let drop_body = "UPDATE inbox_bodies SET body = x'' WHERE id = :id";
                Ok(self.finish(lease, *retention)? && self.write(drop_body, named_params! { ":id": id })?)
            }
            Settlement::Retry { after, error } => self.fail(lease, State::Ready, *after, error),
            Settlement::Postpone { after, error } => {
                Ok(self.fail(lease, State::Ready, *after, error)? && self.set_back(id, 1)?)
            }
            Settlement::GiveBack => Ok(self.set(lease, State::Ready, Duration::ZERO, None)? && self.set_back(id, 0)?),
            Settlement::Bury { cause, error } => {
                let note = "UPDATE inbox SET cause = :cause WHERE id = :id";
                Ok(self.fail(lease, State::Dead, Duration::ZERO, error)?
                    && self.write(note, named_params! { ":id": id, ":cause": cause.code() })?)
            }
        }
    }

    fn finish(&self, lease: Lease, retention: Duration) -> Result<bool> {
        let id = number(lease.id());
        Ok(self.set(lease, State::Done, Duration::ZERO, None)? && self.claims.end_kept(id, retention)?)
    }

    /// Completes the run of a handler in its own transaction.
    pub(super) fn complete(&self, completion: &Completion) -> Result<bool> {
        let id = number(completion.id());
        let own = "SELECT 1 FROM claims WHERE token = ?1 AND key = ?2";
        let is_own = self.connection.prepare_cached(own)?.exists(params![id, completion.key().as_bytes()])?;
        let lease = Lease::new(completion.id(), completion.token());
        Ok(is_own && self.settle(lease, &Settlement::complete(completion.retention(), completion.drops_body()))?)
    }

    /// Ends a run that failed, and keeps its error.
    fn fail(&self, lease: Lease, state: State, after: Duration, error: &str) -> Result<bool> {
        let (id, token) = (number(lease.id()), number(lease.token().get()));
        self.write(
            "INSERT INTO inbox_failures (id, attempt, worker, started, ended, error)
             SELECT id, attempts, worker, started, :now, :error FROM inbox WHERE id = :id AND token = :token AND state = 1",
            named_params! { ":id": id, ":token": token, ":now": self.now, ":error": error },
        )?;
        self.set(lease, state, after, Some(error))
    }

    /// Ends a run.
    fn set(&self, lease: Lease, state: State, after: Duration, error: Option<&str>) -> Result<bool> {
        self.write(
            "UPDATE inbox SET state = :state, due = :due, error = coalesce(:error, error)
             WHERE id = :id AND token = :token AND state = 1",
            named_params! {
                ":id": number(lease.id()), ":token": number(lease.token().get()), ":state": state.code(),
                ":due": self.after(after), ":error": error,
            },
        )
    }

    /// The last attempt does not count.
    fn set_back(&self, id: i64, postponed: i64) -> Result<bool> {
        self.write(
            "UPDATE inbox SET attempts = attempts - 1, postponed = postponed + :postponed WHERE id = :id",
            named_params! { ":id": id, ":postponed": postponed },
        )
    }

    pub(super) fn stats(&self, endpoint: &str) -> Result<Stats> {
        let mut queue = self.connection.prepare_cached(&format!(
            "SELECT count(*) FILTER (WHERE due <= :now), count(*) FILTER (WHERE state = 0 AND due > :now),
                    count(*) FILTER (WHERE state = 1 AND due > :now), min(due) FILTER (WHERE due <= :now)
             FROM inbox WHERE state < 2 AND {WITH_TENANTS}"
        ))?;
        let mut stats = queue.query_row(named_params! { ":endpoint": endpoint, ":now": self.now }, |row| {
            let oldest: Option<i64> = row.get(3)?;
            let lag = oldest.map(|oldest| Duration::from_millis(self.now.abs_diff(oldest)));
            let (ready, waiting, running) = (count(row, 0)?, count(row, 1)?, count(row, 2)?);
            Ok(Stats { ready, waiting, running, lag, ..Stats::default() })
        })?;
        let dead = format!("SELECT count(*) FROM inbox WHERE state = 3 AND {WITH_TENANTS}");
        let mut dead = self.connection.prepare_cached(&dead)?;
        stats.dead = dead.query_row(named_params! { ":endpoint": endpoint }, |row| count(row, 0))?;
        Ok(stats)
    }

    /// Whether the statement changed a row.
    pub(super) fn write(&self, statement: &str, parameters: &[(&str, &dyn rusqlite::ToSql)]) -> Result<bool> {
        Ok(self.connection.prepare_cached(statement)?.execute(parameters)? > 0)
    }

    fn after(&self, duration: Duration) -> i64 {
        self.now.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}

fn leased(row: &Row<'_>) -> Result<Leased> {
    let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
    let lease = Lease::new(number("id")?, Token::new(number("token")?));
    let (endpoint, body): (String, Vec<u8>) = (row.get("endpoint")?, row.get("body")?);
    let (event, event_type): (String, String) = (row.get("event")?, row.get("type")?);
    let entry = Entry::from_parts(&endpoint, event, event_type, row.get::<_, String>("details")?, body.into());
    let arrived = UNIX_EPOCH + Duration::from_millis(u64::try_from(row.get::<_, i64>("arrived")?).unwrap_or(0));
    Ok(Leased::new(lease, entry, arrived, row.get("attempts")?, row.get("postponed")?))
}

fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

/// Rows count from 1: 0, for a number beyond SQLite's integers, finds none.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(0)
}
