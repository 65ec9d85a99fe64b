//! The store: how it is made, and its operations, each one statement.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::PgPool;
use tokio::time::Instant;

use super::migration;
use super::statements::{Asked, Statements};
use super::sweeper::{self, Sweeper};
use crate::dedup::key::Key;
use crate::dedup::store::{ClaimAnswer, ClaimRequest, DedupStore};
use crate::dedup::token::{Nonce, Token};
use crate::engine::postgres::{Purpose, Source};
use crate::engine::server_clock::{ServerClock, micros};
use crate::error::StoreError;

/// Claims in a table of PostgreSQL 14 or later, shared by all replicas that use it.
///
/// ```no_run
/// use circa_receiver::{Receiver, Secret, dedup::PostgresStore};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect_lazy("postgres://receiver@localhost/app")?.schema("webhooks");
/// store.migrate().await?;
/// let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?).dedup(store);
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// - A call is answered when the server has the change on its disk: `synchronous_commit = off` of a
///   session is overruled. A handled event costs two commits, `claim` and `complete`; a duplicate
///   costs a read.
/// - A failover loses no answered change where replication is synchronous
///   (`synchronous_standby_names`). Where it is not, the last moments before the failover may be
///   lost, and their events be handled again.
/// - Leases and retentions end by the server's wall clock. Where it is set forward, they end that
///   much earlier.
/// - Every call ends within [`timeout`](Self::timeout), even when the server is frozen or the pool
///   is empty. The store reconnects by itself. A claim that the server reads after its caller has
///   given up is not made.
/// - Claims leave two connections of the pool free (a pool of one or two has one for claims), so
///   that under overload renewals, completions and releases do not wait behind claims.
/// - It works through a pooler that keeps prepared statements: PgBouncer with
///   `pool_mode = session`, or 1.21 or later with `max_prepared_statements`; and, for
///   [`connect_lazy`](Self::connect_lazy), with
///   `ignore_startup_parameters = extra_float_digits, options`. Another pooler in transaction mode
///   is refused by [`migrate`](Self::migrate) and by the first [`check`](DedupStore::check).
///
/// # Size
///
/// About 275 bytes for each event with an id of 30 characters, the index included (measured with
/// 200,000 events). With a retention of 72 h, one event a second needs 70 MB, ten need 700 MB. Rows
/// that have ended are removed in the background, after claims: see [`sweep`](Self::sweep).
///
/// # Privileges
///
/// [`migrate`](Self::migrate) needs CREATE on the schema, and CREATE on the database where it makes
/// the schema. Everything else, and `migrate` where the table exists, runs with the privileges of
/// [`grants_sql`](Self::grants_sql).
pub struct PostgresStore {
    pub(super) source: Source,
    pub(super) statements: Arc<Statements>,
    pub(super) clock: ServerClock,
    pub(super) sweeper: Arc<Sweeper>,
    /// Whether no pooler loses prepared statements: looked at once.
    pub(super) statements_kept: AtomicBool,
}

impl PostgresStore {
    /// A store on your pool, whatever its settings. The store waits for a connection for half of
    /// its [`timeout`](Self::timeout), 500 ms by default, even where the pool would wait longer.
    ///
    /// `test_before_acquire(false)` saves a round trip a call: after an error of the connection the
    /// store tries another one. A `statement_timeout` of about a second ends statements on the
    /// server that no caller waits for any more.
    pub fn new(pool: PgPool) -> Self {
        Self::from(Source::given(pool))
    }

    /// A store with a pool of its own (8 connections: see
    /// [`max_connections`](Self::max_connections)), opened when it is first used.
    ///
    /// The URL is as in `postgres://user:password@host:5432/database?sslmode=verify-full`. TLS
    /// needs the feature `postgres-tls`; without it `sslmode` is `disable` or `prefer`, which then
    /// does not encrypt.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] where the URL cannot be read; the message has no part of it.
    /// [`migrate`](Self::migrate) and [`check`](DedupStore::check) fail where the server cannot be
    /// reached.
    pub fn connect_lazy(url: &str) -> Result<Self, StoreError> {
        Source::url(url).map(Self::from)
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            statements: Arc::new(Statements::new("public")),
            clock: ServerClock::default(),
            sweeper: Arc::default(),
            statements_kept: AtomicBool::new(false),
        }
    }

    /// The schema of the table, in place of `public`: any name of at most 63 bytes, quoted by the
    /// store. With a name that has a NUL character every call fails.
    #[must_use]
    pub fn schema(mut self, name: &str) -> Self {
        self.statements = Arc::new(Statements::new(name));
        self
    }

    /// The same, for an inbox whose methods its messages name.
    pub(crate) fn of_inbox(mut self) -> Self {
        self.statements = Arc::new(Statements::new(&self.statements.table.schema).of("PostgresInbox"));
        self
    }

    /// How many connections the store's own pool has at most. Default 8: each call needs one for a
    /// round trip and a commit, and claims use at most all but two. No effect on a pool of yours.
    #[must_use]
    pub fn max_connections(mut self, most: u32) -> Self {
        self.source.set_max_connections(most);
        self
    }

    /// How long a call may take, half of it to wait for a connection. Default 1 s; stay below the
    /// receiver's store timeout of 2 s. To be set before the first call. A connection may take up
    /// to 10 s to open, and 2 s while another one opens: [`migrate`](Self::migrate) waits for it,
    /// and it serves later calls.
    ///
    /// The sessions of the store's own pool have it as `statement_timeout`, and half of it as
    /// `lock_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.source.set_timeout(timeout);
        self
    }

    /// Makes the table `circa_receiver_claims` and its sequence, and the schema, where they are
    /// missing. Call it at every start: replicas may do so at once.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the server cannot be reached or refuses, where a pooler loses prepared
    /// statements, where the table was made by a newer version, where no connection opens within
    /// 10 s, or after 30 s.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        self.source.connections().open(&self.statements.table).await?;
        self.find_pooler().await?;
        migration::migrate(self.source.connections(), &self.statements).await
    }

    /// Runs a script that makes what is missing, one replica after the other.
    pub(crate) async fn run_script(&self, script: String) -> Result<(), StoreError> {
        migration::run(self.source.connections(), &self.statements, script).await
    }

    /// The SQL that [`migrate`](Self::migrate) runs, for migrations by other means. The schema must
    /// exist.
    pub fn schema_sql(&self) -> String {
        self.statements.schema_sql(&migration::mark())
    }

    /// The privileges that a role needs to use the store, as SQL: USAGE on the schema and the
    /// sequence, SELECT, INSERT, UPDATE and DELETE on the table.
    pub fn grants_sql(&self, role: &str) -> String {
        self.statements.grants_sql(role)
    }

    /// Removes the rows that ended more than an hour ago from the whole table, and returns their
    /// number.
    ///
    /// You need not call it: a part of the table is swept in the background after every 1,000
    /// claims, and after the first claim that comes 5 minutes later. A claim waits for a sweep only
    /// where its own row is being removed, for some milliseconds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the server failed; rows that were removed before stay removed.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        sweeper::all(self.source.connections(), &self.statements).await
    }
}

#[async_trait]
impl DedupStore for PostgresStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let answer = self.bounded(self.claim_until(request, Instant::now() + self.source.timeout())).await?;
        self.sweep_now_and_then();
        Ok(answer)
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        let bind = |query: Asked, _| query.bind(key.as_bytes()).bind(signed(token)).bind(micros(lease));
        self.change(&self.statements.renew, bind).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        let bind = |query: Asked, again: bool| {
            query.bind(key.as_bytes()).bind(signed(token)).bind(micros(retention)).bind(again)
        };
        self.change(&self.statements.complete, bind).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        let bind = |query: Asked, again: bool| query.bind(key.as_bytes()).bind(signed(token)).bind(again);
        self.change(&self.statements.release, bind).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        let nonce = nonce.get().to_be_bytes();
        self.change(&self.statements.withdraw, |query, _| query.bind(key.as_bytes()).bind(&nonce[..])).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.change(&self.statements.forget, |query, again| query.bind(key.as_bytes()).bind(again)).await
    }

    /// Whether the primary answers, the table exists in this version, and the role may use it. The
    /// first call also looks for a pooler that loses prepared statements, with a connection more.
    async fn check(&self) -> Result<(), StoreError> {
        let call = async {
            self.find_pooler().await?;
            let schema = &self.statements.table.schema;
            let row = self.ask(Purpose::Holder, &self.statements.usable, |query, _| query.bind(schema.clone())).await?;
            migration::usable(&row, &self.statements.table)
        };
        self.bounded(call).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.statements.table.schema)
            .field("timeout", &self.source.timeout())
            .finish_non_exhaustive()
    }
}

/// Tokens of the sequence begin at 1: -1, for a number beyond `bigint`, finds no row.
fn signed(token: Token) -> i64 {
    i64::try_from(token.get()).ok().filter(|token| *token > 0).unwrap_or(-1)
}
