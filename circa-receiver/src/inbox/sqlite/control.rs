//! What operators see and do, in the tables of the inbox.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Result, Row, named_params};

use super::rows::{InboxRows, number};
use crate::inbox::control::{Change, Failure, Filter, Pause, Record, State};
use crate::inbox::settlement::Cause;

impl InboxRows<'_> {
    pub(super) fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>> {
        let filter = filter.clone().at(UNIX_EPOCH + Duration::from_millis(self.now.unsigned_abs()));
        let (endpoint, event_type, state, cause) = filter.parts();
        let (since, until) = filter.arrival();
        // Spelled out, so that what is dead is found by its index.
        let state = state.map_or(String::new(), |state| format!("state = {} AND", state.code()));
        let mut list = self.connection.prepare_cached(&format!(
            "SELECT * FROM inbox WHERE {state} id > :after AND (:endpoint IS NULL OR endpoint = :endpoint)
             AND (:type IS NULL OR type = :type) AND (:cause IS NULL OR cause = :cause)
             AND (:since IS NULL OR arrived >= :since) AND (:until IS NULL OR arrived < :until)
             ORDER BY id LIMIT :limit"
        ))?;
        let parameters = named_params! {
            ":after": after.map_or(0, number), ":endpoint": endpoint, ":type": event_type, ":cause": cause.map(Cause::code),
            ":since": since.map(millis), ":until": until.map(millis), ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
        };
        list.query_map(parameters, record)?.collect()
    }

    pub(super) fn failures(&self, id: u64) -> Result<Vec<Failure>> {
        let failures = "SELECT attempt, worker, error FROM inbox_failures WHERE id = ?1 ORDER BY rowid";
        let mut failures = self.connection.prepare_cached(failures)?;
        failures.query_map([number(id)], |row| Ok(Failure::new(row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
    }

    pub(super) fn change(&self, ids: &[u64], change: Change) -> Result<u64> {
        let mut changed = 0;
        for id in ids.iter().copied().map(number) {
            changed += u64::from(match change {
                Change::Replay => self.write(
                    "UPDATE inbox SET state = :ready, due = :now, attempts = 0, postponed = 0, cause = NULL WHERE id = :id AND state = 3",
                    named_params! { ":ready": State::Ready.code(), ":now": self.now, ":id": id },
                )?,
                Change::Discard { retention } => {
                    self.write(
                        "UPDATE inbox SET state = 4, due = :now WHERE id = :id AND state IN (2, 3)",
                        named_params! { ":now": self.now, ":id": id },
                    )? && self.claims.end_kept(id, retention)?
                }
                Change::Restore => {
                    self.write(
                        "UPDATE inbox SET state = 3, due = :now WHERE id = :id AND state = 4",
                        named_params! { ":now": self.now, ":id": id },
                    )? && self.claims.keep_on(id)?
                }
            });
        }
        Ok(changed)
    }

    /// Whether the pause was not there before, or was.
    pub(super) fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool> {
        let (endpoint, event_type) = (pause.endpoint(), pause.stored_type());
        if is_paused {
            self.write(
                "INSERT OR IGNORE INTO inbox_pauses (endpoint, type, since) VALUES (:endpoint, :type, :now)",
                named_params! { ":endpoint": endpoint, ":type": event_type, ":now": self.now },
            )
        } else {
            self.write(
                "DELETE FROM inbox_pauses WHERE endpoint = :endpoint AND type = :type",
                named_params! { ":endpoint": endpoint, ":type": event_type },
            )
        }
    }

    pub(super) fn pauses(&self) -> Result<Vec<Pause>> {
        let mut pauses = self.connection.prepare_cached("SELECT endpoint, type FROM inbox_pauses ORDER BY 1, 2")?;
        let pause = |row: &Row<'_>| {
            let (endpoint, event_type): (String, String) = (row.get(0)?, row.get(1)?);
            Ok(Pause::stored(&endpoint, &event_type))
        };
        pauses.query_map([], pause)?.collect()
    }
}

fn record(row: &Row<'_>) -> Result<Record> {
    let (endpoint, event, event_type): (String, String, String) =
        (row.get("endpoint")?, row.get("event")?, row.get("type")?);
    let arrived: i64 = row.get("arrived")?;
    let arrived = UNIX_EPOCH + Duration::from_millis(u64::try_from(arrived).unwrap_or(0));
    let id: i64 = row.get("id")?;
    let mut record = Record::new(id.unsigned_abs(), &endpoint, &event, &event_type, arrived);
    record.state = State::of_code(row.get("state")?);
    (record.attempts, record.postponed) = (row.get("attempts")?, row.get("postponed")?);
    (record.worker, record.error) = (row.get("worker")?, row.get("error")?);
    record.cause = row.get::<_, Option<_>>("cause")?.and_then(Cause::of_code);
    Ok(record)
}

fn millis(time: SystemTime) -> i64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
