//! Claims in PostgreSQL: one statement for each operation, one row for each event.
//!
//! Every call ends within the store's own timeout, whatever the server does, and a connection whose call did not end is thrown away.

mod lending;
mod migration;
mod source;
mod statements;
mod sweeper;
mod trouble;

use std::{fmt, future::Future, sync::Arc, time::Duration};

/// The sqlx whose pool [`PostgresStore::new`] takes.
pub use sqlx;

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Row,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use tokio::time::Instant;

use super::{
    ClaimAnswer, ClaimRequest, DedupStore, Key, Nonce, StoreError, Token,
    server_clock::{ServerClock, micros},
};
use lending::Lent;
use source::Source;
use statements::Statements;
use sweeper::Sweeper;
use trouble::{Trouble, told};

/// Below the 2 s for which a receiver waits for its store, so that the store's own error is seen.
const TIMEOUT: Duration = Duration::from_secs(1);

/// How often a claim is asked for again because another came between its two looks at the row.
const MOST_RACES: usize = 10;

/// Claims in a table of PostgreSQL 14 or later, shared by all replicas that use it.
///
/// ```no_run
/// use circa_receiver::{Receiver, Secret, dedup::PostgresStore};
///
/// # async fn start() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://receiver@localhost/app")?.schema("webhooks");
/// store.migrate().await?;
/// let receiver = Receiver::circa(Secret::from_env("CIRCA_WEBHOOK_SECRET")?).dedup(store);
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// - An answer is given when the server has the change on its disk: a session with `synchronous_commit = off` is overruled. A handled event costs
///   two commits, `claim` and `complete`; a duplicate costs a read.
/// - A failover loses no answered change where replication is synchronous (`synchronous_standby_names`). Where it is not, the last moments before
///   the failover may be forgotten, and their events be handled again.
/// - The server's wall clock rules. Where it is set forward, leases and retentions end that much earlier.
/// - Every call ends within [`timeout`](Self::timeout), also when the server is frozen or the pool is empty; the store finds the server again by
///   itself, and a claim that the server reads only after its caller has gone is not made.
/// - It works through a pooler that keeps prepared statements: pgbouncer 1.21 or later, with `max_prepared_statements` and, for
///   [`connect`](Self::connect), `ignore_startup_parameters = extra_float_digits, options`.
///
/// # Size
///
/// About 275 bytes for each event with an id of 30 characters, the index included (measured with 200,000 events). With a retention of 72 h, one event a second needs 70 MB, ten
/// need 700 MB. What has ended is removed by whoever claims, in the background: see [`sweep`](Self::sweep).
///
/// # Privileges
///
/// [`migrate`](Self::migrate) needs CREATE on the schema, and CREATE on the database where it makes the schema. All else, `migrate` included where
/// nothing is left to do, runs with what [`grants_sql`](Self::grants_sql) spells.
pub struct PostgresStore {
    source: Source,
    statements: Arc<Statements>,
    timeout: Duration,
    clock: ServerClock,
    sweeper: Arc<Sweeper>,
}

/// A statement with its values.
type Asked = Query<'static, Postgres, PgArguments>;

impl PostgresStore {
    /// A store on your pool, whatever its settings. The store waits 500 ms for a connection even where the pool would wait longer.
    ///
    /// `test_before_acquire(false)` saves a round trip a call: the store copes with broken connections. A `statement_timeout` of about a second
    /// frees the server from what nobody waits for any more.
    pub fn new(pool: PgPool) -> Self {
        Self::from(Source::given(pool))
    }

    /// A store with a pool of its own (8 connections: see [`connections`](Self::connections)), opened when it is first used.
    ///
    /// The URL is as in `postgres://user:password@host:5432/database?sslmode=verify-full`. TLS needs the feature `postgres-tls`; without it `sslmode`
    /// is `disable` or `prefer`, which then does not encrypt.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] where the URL cannot be read; the message holds no word of it. Whether the server can be reached,
    /// [`migrate`](Self::migrate) and [`check`](DedupStore::check) tell.
    pub fn connect(url: &str) -> Result<Self, StoreError> {
        Source::url(url).map(Self::from)
    }

    fn from(source: Source) -> Self {
        Self {
            source,
            statements: Arc::new(Statements::new("public")),
            timeout: TIMEOUT,
            clock: ServerClock::default(),
            sweeper: Arc::default(),
        }
    }

    /// The schema of the table, in place of `public`: any name, quoted for you, of at most 63 bytes.
    #[must_use]
    pub fn schema(mut self, name: &str) -> Self {
        self.statements = Arc::new(Statements::new(name));
        self
    }

    /// How many connections the store's own pool has at most. Default 8: each call needs one for a round trip and a commit. No effect on a pool of
    /// yours.
    #[must_use]
    pub fn connections(mut self, most: u32) -> Self {
        self.source.set_connections(most);
        self
    }

    /// How long a call may take. Default 1 s; stay below the receiver's store timeout of 2 s.
    ///
    /// The store's own pool tells the server too: `statement_timeout` is this, `lock_timeout` half of it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Makes the table `circa_receiver_claims` and its sequence, and the schema, where they are missing. Call it at every start: replicas may do so at
    /// once.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the server cannot be reached or refuses, where the table was made by a newer version, or after 30 s.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        migration::migrate(self.source.pool(self.timeout), &self.statements).await
    }

    /// What [`migrate`](Self::migrate) runs, for those who migrate by other means. The schema must exist.
    pub fn schema_sql(&self) -> String {
        self.statements.schema_sql(&migration::mark())
    }

    /// What a role needs in order to use the store: USAGE on the schema and the sequence, SELECT, INSERT, UPDATE and DELETE on the table.
    pub fn grants_sql(&self, role: &str) -> String {
        self.statements.grants_sql(role)
    }

    /// Removes what ended more than an hour ago, from the whole table, and tells how many rows went.
    ///
    /// You need not call it: a part of the table is swept in the background after every 1,000 claims, and by the first claim after 5 minutes. A claim
    /// never waits for it, but where its own row is being removed, for some milliseconds.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the server failed; what was removed before stays removed.
    pub async fn sweep(&self) -> Result<u64, StoreError> {
        sweeper::all(self.source.pool(self.timeout), &self.statements).await
    }

    /// The answer to a statement, within the timeout.
    ///
    /// A broken connection is another's turn, as often as the pool may hold broken ones, as after the server's restart: asking first whether each is
    /// well would cost every call a round trip. So a statement may run twice. A claim is repeatable by its nonce; a renewal, and a `complete` that is
    /// told so, are by their token; a `release` or `forget` that came through the first time is told `false` the second, and nothing hangs on it.
    async fn ask(
        &self,
        sql: &Arc<str>,
        bind: impl Fn(Asked, bool) -> Asked + Send + Sync,
    ) -> Result<PgRow, StoreError> {
        let pool = self.source.pool(self.timeout);
        let mut tries = pool.size().saturating_add(2);
        let mut again = false;
        loop {
            let mut lent = Lent::from(pool, &self.statements.schema).await?;
            let query = bind(sqlx::query(AssertSqlSafe(Arc::clone(sql))), again);
            let error = match query.fetch_one(lent.connection()).await {
                Ok(row) => {
                    lent.give_back();
                    return Ok(row);
                }
                Err(error) => error,
            };
            tries -= 1;
            match Trouble::of(&error) {
                Trouble::Connection if tries > 0 => again = true,
                Trouble::Connection => return Err(told(error, &self.statements.schema)),
                Trouble::Collision if tries > 0 => lent.give_back(),
                Trouble::Collision | Trouble::TooLate | Trouble::Lasting => {
                    lent.give_back();
                    return Err(told(error, &self.statements.schema));
                }
            }
        }
    }

    /// Whether a statement changed its row.
    async fn change(
        &self,
        sql: &Arc<str>,
        bind: impl Fn(Asked, bool) -> Asked + Send + Sync,
    ) -> Result<bool, StoreError> {
        self.bounded(async { self.read(&self.ask(sql, bind).await?, "changed") }).await
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        tokio::time::timeout(self.timeout, call).await.unwrap_or(Err(StoreError::Timeout))
    }

    fn read<'r, T>(&self, row: &'r PgRow, column: &str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
    {
        row.try_get(column).map_err(|error| told(error, &self.statements.schema))
    }

    async fn claim_until(&self, request: ClaimRequest<'_>, deadline: Instant) -> Result<ClaimAnswer, StoreError> {
        let key = request.key().as_bytes();
        let (nonce, fingerprint) = (request.nonce().get().to_be_bytes(), request.fingerprint().to_bytes());
        let mut late = 0;
        for _ in 0..MOST_RACES {
            let wanted_until = self.clock.at(deadline.into_std());
            let row = self.ask(&self.statements.claim, |query, _| {
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
                // Once because its clock was not known, or has jumped.
                if late > 2 {
                    return Err(StoreError::Failed("PostgreSQL: the server's clock jumps about".into()));
                }
            }
        }
        // Somebody holds the claim, and always another.
        Ok(ClaimAnswer::InProgress { retry_after: Duration::ZERO })
    }

    async fn held(&self, row: &PgRow, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        if self.read(row, "done")? {
            return Ok(ClaimAnswer::Done { same_body: self.read(row, "same_body")? });
        }
        let (remaining, lease) = (self.read::<i64>(row, "remaining")?, micros(request.lease()));
        if remaining > lease {
            self.ask(&self.statements.cap, |query, _| query.bind(request.key().as_bytes()).bind(lease)).await?;
        }
        let remaining = Duration::from_micros(u64::try_from(remaining.min(lease)).unwrap_or(0));
        Ok(ClaimAnswer::InProgress { retry_after: remaining })
    }

    fn sweep_now_and_then(&self) {
        if self.sweeper.is_due() {
            let (pool, statements) = (self.source.pool(self.timeout).clone(), Arc::clone(&self.statements));
            let sweeper = Arc::clone(&self.sweeper);
            // Where it fails, the next does it: nothing but space hangs on it.
            tokio::spawn(async move { sweeper.part(&pool, &statements).await });
        }
    }
}

#[async_trait]
impl DedupStore for PostgresStore {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        let answer = self.bounded(self.claim_until(request, Instant::now() + self.timeout)).await?;
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
        self.change(&self.statements.release, |query, _| query.bind(key.as_bytes()).bind(signed(token))).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        let nonce = nonce.get().to_be_bytes();
        self.change(&self.statements.withdraw, |query, _| query.bind(key.as_bytes()).bind(&nonce[..])).await
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.change(&self.statements.forget, |query, _| query.bind(key.as_bytes())).await
    }

    /// Whether the primary answers, and the table is there, of this version, and the role may use it.
    async fn check(&self) -> Result<(), StoreError> {
        let call = async {
            let row = self.ask(&self.statements.usable, |query, _| query.bind(self.statements.schema.clone())).await?;
            migration::usable(&row, &self.statements.schema)
        };
        self.bounded(call).await
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("schema", &self.statements.schema)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A token that the sequence never gave out is held by nobody, as 0 and below are.
fn signed(token: Token) -> i64 {
    i64::try_from(token.get()).ok().filter(|token| *token > 0).unwrap_or(-1)
}
