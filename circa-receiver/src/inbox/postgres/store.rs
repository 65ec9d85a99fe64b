//! The inbox: how it is made, and its operations.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sqlx::{PgPool, Row};

use super::control_statements::ControlStatements;
use super::end::End;
use super::rows;
use super::statements::{SWEPT_AT_ONCE, Statements, bind_accept};
use crate::dedup::{DedupStore, Key, PostgresStore};
use crate::engine::postgres::Purpose;
use crate::engine::server_clock::micros;
use crate::error::StoreError;
use crate::inbox::accept::{AcceptRequest, Accepted};
use crate::inbox::control::{Change, Failure, Filter, Pause, Record};
use crate::inbox::lease::{Lease, LeaseRequest, Leased};
use crate::inbox::settlement::Settlement;
use crate::inbox::store::Inbox;
use crate::inbox::wake::Wake;
use crate::observe::Stats;

/// How often an accept is asked again because another call came between its read and its insert.
pub(super) const MAX_RACES: usize = 10;

pub(super) const TOO_MANY_RACES: &str = "PostgreSQL: others accept and forget this event all the time";

/// A process removes what is over so often, while its worker asks for events.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// An inbox in a table of PostgreSQL 14 or later, shared by all replicas: receivers, workers, and a
/// [`PostgresStore`] of receivers without an inbox in the same schema.
///
/// ```no_run
/// use circa_receiver::{PostgresInbox, Receiver, Secret};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let inbox = PostgresInbox::connect_lazy("postgres://receiver@localhost/app")?.schema("webhooks");
/// inbox.migrate().await?;
/// let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?).inbox(inbox).build()?;
/// # Ok(())
/// # }
/// ```
///
/// A call is answered when the server has the change on its disk. An event costs three commits:
/// accept, lease, settle; a worker leases a batch in one. Workers of other processes find a new
/// event within 200 ms. What [`PostgresStore`] says of durability, of time, of pools and poolers
/// holds here too; accepts and leases leave two connections of the pool free.
pub struct PostgresInbox {
    /// The table of claims, and the connections.
    pub(super) claims: PostgresStore,
    pub(super) statements: Statements,
    pub(super) control: ControlStatements,
    swept: Mutex<Option<Instant>>,
    wake: Wake,
}

impl PostgresInbox {
    /// An inbox on your pool, as [`PostgresStore::new`].
    pub fn new(pool: PgPool) -> Self {
        Self::from(PostgresStore::new(pool))
    }

    /// An inbox with a pool of its own, as [`PostgresStore::connect_lazy`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] where the URL cannot be read; the message has no part of it.
    pub fn connect_lazy(url: &str) -> Result<Self, StoreError> {
        PostgresStore::connect_lazy(url).map(Self::from)
    }

    fn from(claims: PostgresStore) -> Self {
        let claims = claims.of_inbox();
        let statements = Statements::new("public");
        let control = statements.control();
        Self { claims, statements, control, swept: Mutex::default(), wake: Wake::default() }
    }

    /// The schema of the tables, in place of `public`.
    #[must_use]
    pub fn schema(mut self, name: &str) -> Self {
        self.claims = self.claims.schema(name).of_inbox();
        self.statements = Statements::new(name);
        self.control = self.statements.control();
        self
    }

    /// How many connections the inbox's own pool has at most; 8 by default. No effect on a pool of
    /// yours.
    #[must_use]
    pub fn max_connections(mut self, most: u32) -> Self {
        self.claims = self.claims.max_connections(most);
        self
    }

    /// How long a call may take, half of it to wait for a connection; 1 s by default. Stay below
    /// the store timeout of the receiver and the call timeout of the worker, 2 s each.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.claims = self.claims.timeout(timeout);
        self
    }

    /// Makes the tables, the sequence and the schema where they are missing. Call it at every
    /// start: replicas may do so at once.
    ///
    /// # Errors
    ///
    /// As [`PostgresStore::migrate`].
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.claims.migrate().await?;
        match self.usable().await {
            Ok(()) => Ok(()),
            Err(_) => self.claims.run_script(self.statements.schema_sql()).await,
        }?;
        self.usable().await
    }

    /// Says what is missing for the inbox to work: a table, its version, a privilege of the role, a
    /// primary. The same as [`Inbox::check`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] with what is missing, and what to do.
    pub async fn validate(&self) -> Result<(), StoreError> {
        self.claims.check().await?;
        self.usable().await
    }

    /// The SQL that [`migrate`](Self::migrate) runs, for migrations by other means. The schema must
    /// exist.
    pub fn schema_sql(&self) -> String {
        format!("{}{}", self.claims.schema_sql(), self.statements.schema_sql())
    }

    /// The privileges that a role needs to use the inbox, as SQL.
    pub fn grants_sql(&self, role: &str) -> String {
        format!("{}{}", self.claims.grants_sql(role), self.statements.grants_sql(role))
    }

    async fn usable(&self) -> Result<(), StoreError> {
        let schema = self.statements.schema();
        let call = self.claims.ask(Purpose::Holder, &self.statements.usable, |query, _| query.bind(schema.to_owned()));
        let row = self.claims.bounded(call).await?;
        let get = |column| row.try_get::<Option<bool>, _>(column).map_err(|error| self.claims.explain(error));
        let version: Option<String> = row.try_get("version").map_err(|error| self.claims.explain(error))?;
        let wrong = |what: String| Err(StoreError::Failed(format!("PostgreSQL: {what}").into()));
        if get("present")? != Some(true) {
            return wrong(self.claims.missing());
        }
        if version.as_deref() != Some(self.statements.mark()) {
            return wrong(format!(
                "the table of the inbox in the schema {schema:?} is of another version: its comment should be {:?}",
                self.statements.mark()
            ));
        }
        if get("allowed")? != Some(true) {
            return wrong("the role may not use the table: run what `PostgresInbox::grants_sql` says".to_owned());
        }
        Ok(())
    }

    /// Removes events that are over, now and then, in the background. After an error the next sweep
    /// removes them.
    fn sweep_now_and_then(&self) {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        if swept.is_none_or(|swept| swept.elapsed() >= SWEEP_EVERY) {
            *swept = Some(Instant::now());
            // It ends before the next one begins.
            self.claims.sweep_in_background(Arc::clone(&self.statements.sweep), SWEPT_AT_ONCE, SWEEP_EVERY);
        }
    }
}

#[async_trait]
impl Inbox for PostgresInbox {
    async fn accept(&self, request: AcceptRequest) -> Result<Accepted, StoreError> {
        let call = async {
            for _ in 0..MAX_RACES {
                let bind = |query, _| bind_accept(query, &request);
                let row = self.claims.ask(Purpose::Intake, &self.statements.accept, bind);
                if let Some(accepted) = rows::accepted(&row.await?).map_err(|error| self.claims.explain(error))? {
                    return Ok(accepted);
                }
            }
            Err(StoreError::Failed(TOO_MANY_RACES.into()))
        };
        let accepted = self.claims.bounded(call).await?;
        self.claims.sweep_now_and_then();
        if accepted == Accepted::New {
            self.wake.notify();
        }
        Ok(accepted)
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        self.sweep_now_and_then();
        let mut leased = Vec::new();
        let call = async {
            for interest in request.interests() {
                let limit = interest.limit().min(request.limit() - leased.len());
                if limit == 0 {
                    continue;
                }
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                let Statements { lease, lease_with_tenants, .. } = &self.statements;
                let lease = if interest.has_tenants() { lease_with_tenants } else { lease };
                let rows = self.claims.ask_all(Purpose::Intake, lease, |query, _| {
                    let query = query.bind(interest.endpoint().to_owned()).bind(interest.types().map(<[_]>::to_vec));
                    let query = query.bind(limit).bind(micros(request.duration())).bind(request.worker().to_owned());
                    query.bind(interest.except().to_vec())
                });
                for row in rows.await? {
                    leased.push(rows::leased(&row).map_err(|error| self.claims.explain(error))?);
                }
            }
            Ok(())
        };
        match self.claims.bounded(call).await {
            Err(error) if leased.is_empty() => Err(error),
            // What the statements before the error have leased would run nowhere until its lease
            // lapses.
            _ => Ok(leased),
        }
    }

    async fn renew(&self, lease: Lease, duration: Duration) -> Result<bool, StoreError> {
        let (id, token) = numbers(lease);
        let bind = |query: crate::dedup::Asked, _| query.bind(id).bind(token).bind(micros(duration));
        self.claims.change(&self.statements.renew, bind).await
    }

    async fn settle(&self, lease: Lease, settlement: Settlement) -> Result<bool, StoreError> {
        let (id, token) = numbers(lease);
        let end = End::of(settlement);
        let bind = |query: crate::dedup::Asked, again: bool| {
            let query = query.bind(id).bind(token).bind(end.state).bind(micros(end.after)).bind(end.set_back);
            query.bind(end.postponed).bind(end.cause).bind(end.error.clone()).bind(again).bind(end.drops_body)
        };
        let settled = self.claims.change(&self.statements.settle, bind).await?;
        if end.after.is_zero() {
            self.wake.notify();
        }
        Ok(settled)
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.claims.forget(key).await
    }

    async fn stats(&self, endpoint: &str) -> Result<Stats, StoreError> {
        let call = self.claims.ask(Purpose::Holder, &self.statements.stats, |query, _| query.bind(endpoint.to_owned()));
        let row = self.claims.bounded(call).await?;
        rows::stats(&row).map_err(|error| self.claims.explain(error))
    }

    async fn list(&self, filter: &Filter, after: Option<u64>, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.list_records(filter, after, limit).await
    }

    async fn failures(&self, id: u64) -> Result<Vec<Failure>, StoreError> {
        self.list_failures(id).await
    }

    async fn change(&self, ids: &[u64], change: Change) -> Result<u64, StoreError> {
        let changed = self.change_records(ids, change).await?;
        self.wake.notify();
        Ok(changed)
    }

    async fn set_paused(&self, pause: &Pause, is_paused: bool) -> Result<bool, StoreError> {
        let changed = self.set_pause(pause, is_paused).await?;
        self.wake.notify();
        Ok(changed)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.list_pauses().await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.validate().await
    }

    fn wake(&self) -> &Wake {
        &self.wake
    }
}

impl fmt::Debug for PostgresInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresInbox").field("schema", &self.statements.schema()).finish_non_exhaustive()
    }
}

/// -1, for a number beyond `bigint`, finds no row.
pub(super) fn numbers(lease: Lease) -> (i64, i64) {
    let number = |number| i64::try_from(number).unwrap_or(-1);
    (number(lease.id()), number(lease.token().get()))
}
