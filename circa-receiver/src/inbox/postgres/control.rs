//! What operators see and do: asks the statements, and reads their answers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::{Row, postgres::PgRow};

use super::store::PostgresInbox;
use crate::engine::postgres::Purpose;
use crate::engine::server_clock::micros;
use crate::error::StoreError;
use crate::inbox::control::{Change, Failure, Filter, Pause, Record, State};
use crate::inbox::settlement::Cause;

impl PostgresInbox {
    pub(super) async fn list_records(
        &self,
        filter: &Filter,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Record>, StoreError> {
        let (endpoint, event_type, state, cause) = filter.parts();
        let (since, until) = filter.arrival();
        let after = after.map_or(-1, |after| i64::try_from(after).unwrap_or(i64::MAX));
        let rows = self.claims.ask_all(Purpose::Holder, &self.control.list, |query, _| {
            let query = query.bind(after).bind(endpoint.map(ToOwned::to_owned)).bind(event_type.map(ToOwned::to_owned));
            let query = query.bind(state.map(State::code)).bind(cause.map(Cause::code));
            let query = query.bind(since.map(unix_micros)).bind(until.map(unix_micros));
            query.bind(i64::try_from(limit).unwrap_or(i64::MAX)).bind(filter.age().map(micros))
        });
        let rows = self.claims.bounded(rows).await?;
        rows.iter().map(record).collect::<Result<_, _>>().map_err(|error| self.claims.explain(error))
    }

    pub(super) async fn list_failures(&self, id: u64) -> Result<Vec<Failure>, StoreError> {
        let id = i64::try_from(id).unwrap_or(-1);
        let rows = self.claims.ask_all(Purpose::Holder, &self.control.failures, |query, _| query.bind(id));
        let failure = |row: &PgRow| {
            let attempt: i32 = row.try_get("attempt")?;
            Ok(Failure::new(attempt.unsigned_abs(), row.try_get("worker")?, row.try_get("error")?))
        };
        let rows = self.claims.bounded(rows).await?;
        rows.iter().map(failure).collect::<Result<_, _>>().map_err(|error| self.claims.explain(error))
    }

    pub(super) async fn change_records(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        let (statement, retention) = match change {
            Change::Replay => (&self.control.replay, None),
            Change::Discard { retention } => (&self.control.discard, Some(micros(retention))),
            Change::Restore => (&self.control.restore, None),
        };
        let ids: Vec<i64> = ids.iter().map(|id| i64::try_from(*id).unwrap_or(-1)).collect();
        let row = self.claims.ask(Purpose::Holder, statement, |query, _| query.bind(ids.clone()).bind(retention));
        let row = self.claims.bounded(row).await?;
        let changed: i64 = row.try_get("changed").map_err(|error| self.claims.explain(error))?;
        Ok(changed.unsigned_abs())
    }

    pub(super) async fn set_pause(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError> {
        let statement = if is_paused { &self.control.pause } else { &self.control.resume };
        let (endpoint, event_type) = (pause.endpoint(), pause.stored_type());
        let bind = |query: crate::dedup::Asked, _| query.bind(endpoint.to_owned()).bind(event_type.to_owned());
        self.claims.change(statement, bind).await
    }

    pub(super) async fn list_pauses(&self) -> Result<Vec<Pause>, StoreError> {
        let rows = self.claims.ask_all(Purpose::Holder, &self.control.pauses, |query, _| query);
        let pause = |row: &PgRow| {
            let (endpoint, event_type): (String, String) = (row.try_get("endpoint")?, row.try_get("type")?);
            Ok(Pause::stored(&endpoint, &event_type))
        };
        let rows = self.claims.bounded(rows).await?;
        rows.iter().map(pause).collect::<Result<_, _>>().map_err(|error| self.claims.explain(error))
    }
}

fn record(row: &PgRow) -> Result<Record, sqlx::Error> {
    let (endpoint, event, event_type): (String, String, String) =
        (row.try_get("endpoint")?, row.try_get("event")?, row.try_get("type")?);
    let (id, arrived): (i64, i64) = (row.try_get("id")?, row.try_get("arrived")?);
    let arrived = UNIX_EPOCH + Duration::from_micros(u64::try_from(arrived).unwrap_or(0));
    let mut record = Record::new(id.unsigned_abs(), &endpoint, &event, &event_type, arrived);
    record.state = State::of_code(row.try_get("state")?);
    let count = |column| row.try_get::<i32, _>(column).map(i32::unsigned_abs);
    (record.attempts, record.postponed) = (count("attempts")?, count("postponed")?);
    (record.worker, record.error) = (row.try_get("worker")?, row.try_get("error")?);
    record.cause = row.try_get::<Option<_>, _>("cause")?.and_then(Cause::of_code);
    Ok(record)
}

fn unix_micros(time: SystemTime) -> i64 {
    micros(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}
