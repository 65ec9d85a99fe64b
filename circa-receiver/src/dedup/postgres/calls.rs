//! How a statement is asked: on a connection of the pool, within the timeout, and again where the
//! connection was broken.

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use sqlx::{AssertSqlSafe, Postgres, Row, postgres::PgRow};
use tokio::time::Instant;

use super::statements::Asked;
use super::store::PostgresStore;
use crate::dedup::store::{ClaimAnswer, ClaimRequest};
use crate::dedup::token::Token;
use crate::engine::postgres::{Purpose, Trouble, keeps_statements};
use crate::engine::server_clock::micros;
use crate::error::StoreError;

/// How often a claim is asked again because another claim came between its read and its insert.
const MAX_RACES: usize = 10;

impl PostgresStore {
    /// The answer to a statement.
    ///
    /// Where the connection was broken the statement runs again on another one, as often as the
    /// pool may have broken ones, as after a restart of the server: a test of each connection
    /// beforehand would cost every call a round trip. So a statement may be committed twice: `bind`
    /// is given `true` when the call is repeated, so that it answers as the first time where
    /// that was committed before. A claim is repeatable by its nonce, a renewal by its token; nobody
    /// needs the answer of a `withdraw`.
    pub(crate) async fn ask(
        &self,
        purpose: Purpose,
        sql: &Arc<str>,
        bind: impl Fn(Asked, bool) -> Asked + Send + Sync,
    ) -> Result<PgRow, StoreError> {
        let mut rows = self.ask_all(purpose, sql, bind).await?;
        rows.pop().ok_or_else(|| self.explain(sqlx::Error::RowNotFound))
    }

    /// As [`PostgresStore::ask`], for a statement that answers any number of rows.
    pub(crate) async fn ask_all(
        &self,
        purpose: Purpose,
        sql: &Arc<str>,
        bind: impl Fn(Asked, bool) -> Asked + Send + Sync,
    ) -> Result<Vec<PgRow>, StoreError> {
        let connections = self.source.connections();
        let mut tries = connections.pool().size().saturating_add(2);
        let mut again = false;
        loop {
            let mut lent = connections.lend(purpose, &self.statements.table).await?;
            let query = bind(sqlx::query(AssertSqlSafe(Arc::clone(sql))), again);
            let error = match query.fetch_all(lent.connection()).await {
                Ok(rows) => {
                    lent.give_back();
                    return Ok(rows);
                }
                Err(error) => error,
            };
            tries -= 1;
            match Trouble::of(&error) {
                Trouble::Connection if tries > 0 => again = true,
                Trouble::Connection => return Err(self.explain(error)),
                Trouble::Collision if tries > 0 => lent.give_back(),
                Trouble::Collision | Trouble::TooLate | Trouble::Lasting => {
                    lent.give_back();
                    return Err(self.explain(error));
                }
            }
        }
    }

    /// Whether a statement changed its row.
    pub(crate) async fn change(
        &self,
        sql: &Arc<str>,
        bind: impl Fn(Asked, bool) -> Asked + Send + Sync,
    ) -> Result<bool, StoreError> {
        self.bounded(async { self.read(&self.ask(Purpose::Holder, sql, bind).await?, "changed") }).await
    }

    pub(crate) async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.source.timeout(), call).await.unwrap_or(Err(StoreError::Timeout))
    }

    /// Refuses a pooler that loses prepared statements. Nothing is done once none was found.
    pub(super) async fn find_pooler(&self) -> Result<(), StoreError> {
        if !self.statements_kept.load(Ordering::Relaxed) {
            let look = keeps_statements(self.source.connections(), &self.statements.table);
            self.statements_kept.store(self.bounded(look).await?, Ordering::Relaxed);
        }
        Ok(())
    }

    fn read<'r, T>(&self, row: &'r PgRow, column: &str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        row.try_get(column).map_err(|error| self.explain(error))
    }

    /// That a table is missing, with what to do about it.
    pub(crate) fn missing(&self) -> String {
        self.statements.table.missing()
    }

    pub(crate) fn explain(&self, error: sqlx::Error) -> StoreError {
        self.statements.table.explain(error)
    }

    pub(super) async fn claim_until(
        &self,
        request: ClaimRequest<'_>,
        deadline: Instant,
    ) -> Result<ClaimAnswer, StoreError> {
        let key = request.key().as_bytes();
        let (nonce, fingerprint) = (request.nonce().get().to_be_bytes(), request.fingerprint().to_bytes());
        let mut late = 0;
        for _ in 0..MAX_RACES {
            let wanted_until = self.clock.at(deadline.into_std());
            let row = self.ask(Purpose::Intake, &self.statements.claim, |query, _| {
                let query = query.bind(key).bind(&nonce[..]).bind(&fingerprint[..]);
                query.bind(micros(request.lease())).bind(wanted_until)
            });
            let row = row.await?;
            let clock = self.read(&row, "clock")?;
            self.clock.heard(Instant::now().into_std(), clock);
            if let Some(token) = self.read::<Option<i64>>(&row, "token")? {
                return Ok(ClaimAnswer::Won(Token::new(token.unsigned_abs())));
            }
            if self.read::<Option<bool>>(&row, "held")? == Some(true) {
                return self.held(&row, request).await;
            }
            if clock > wanted_until {
                late += 1;
                // The first time its clock was not known yet, or had jumped.
                if late > 2 {
                    return Err(StoreError::Failed("PostgreSQL: the server's clock jumps".into()));
                }
            }
        }
        // Others hold the claim, another one each time.
        Ok(ClaimAnswer::InProgress { retry_after: Duration::ZERO })
    }

    async fn held(&self, row: &PgRow, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        if self.read(row, "done")? {
            return Ok(ClaimAnswer::Done { same_body: self.read(row, "same_body")? });
        }
        let (remaining, lease) = (self.read::<i64>(row, "remaining")?, micros(request.lease()));
        if remaining > lease {
            self.ask(Purpose::Intake, &self.statements.cap, |query, _| {
                query.bind(request.key().as_bytes()).bind(lease)
            })
            .await?;
        }
        let remaining = Duration::from_micros(u64::try_from(remaining.min(lease)).unwrap_or(0));
        Ok(ClaimAnswer::InProgress { retry_after: remaining })
    }

    /// Counts a claim; sweeps a part of the table, in the background, where that is due.
    pub(crate) fn sweep_now_and_then(&self) {
        if self.sweeper.is_due() {
            let (connections, statements) = (self.source.connections().clone(), Arc::clone(&self.statements));
            let sweeper = Arc::clone(&self.sweeper);
            // After an error the next sweep removes these rows: until then they take space, and
            // nothing else.
            tokio::spawn(async move { sweeper.part(&connections, &statements).await });
        }
    }

    /// Runs a statement that removes rows, at most so many each time, for as long as it finds as
    /// many, and at most for `limit`. No call waits for it.
    pub(crate) fn sweep_in_background(&self, sql: Arc<str>, at_once: u64, limit: Duration) {
        let (connections, statements) = (self.source.connections().clone(), Arc::clone(&self.statements));
        let within = self.source.timeout();
        let sweep = async move {
            loop {
                let Ok(mut lent) = connections.lend(Purpose::Intake, &statements.table).await else { return };
                let run = sqlx::query(AssertSqlSafe(Arc::clone(&sql))).execute(lent.connection());
                let Ok(Ok(swept)) = tokio::time::timeout(within, run).await else { return };
                lent.give_back();
                if swept.rows_affected() < at_once {
                    return;
                }
            }
        };
        tokio::spawn(tokio::time::timeout(limit, sweep));
    }
}
