//! What both applications, `axum-application` and `actix-application`, have beside their framework:
//! a pool, two endpoints, tables for what they keep, and metrics.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use circa_receiver::{
    BoxError, DeadLetter, DeadLetterSink, Delivery, HandlerError, Observer, PostgresStore, ReceiverBuilder, Receivers,
    Rejection, Secret, async_trait,
};
use sqlx::PgPool;

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS events (id text PRIMARY KEY, endpoint text NOT NULL, what text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS dead_letters (id text, endpoint text, reason text, body bytea)",
];

/// The state of the application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Of its own tables, and of the dedup store.
    pub pool: PgPool,
    /// An endpoint of Circa and one of Circularo.
    pub receivers: Receivers,
    /// What the observer counts.
    pub metrics: Metrics,
}

impl Application {
    /// With these endpoints; makes the tables that are missing.
    ///
    /// # Errors
    ///
    /// Where the database cannot be used, or the endpoints are not right together.
    pub async fn new(pool: PgPool, endpoints: impl IntoIterator<Item = ReceiverBuilder>) -> Result<Self, BoxError> {
        for table in TABLES {
            sqlx::query(table).execute(&pool).await?;
        }
        let (store, metrics) = (Arc::new(PostgresStore::new(pool.clone())), Metrics::default());
        store.migrate().await?;
        let receivers = Receivers::new(endpoints, |builder| {
            builder.dedup(Arc::clone(&store)).dead_letters(Table(pool.clone())).observer(metrics.clone())
        })?;
        Ok(Self { pool, receivers, metrics })
    }

    /// Keeps what an event says, once.
    ///
    /// # Errors
    ///
    /// Where the database fails.
    pub async fn keep(&self, delivery: &Delivery, what: &str) -> Result<(), sqlx::Error> {
        let insert = "INSERT INTO events (id, endpoint, what) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let insert = sqlx::query(insert).bind(delivery.event().id()).bind(delivery.endpoint()).bind(what);
        insert.execute(&self.pool).await.map(drop)
    }

    /// Puts a new secret before the former one of an endpoint; `false` where there is no such
    /// endpoint, or the secret is bad.
    pub fn rotate(&self, endpoint: &str, new: &str) -> bool {
        let (Some(receiver), Ok(secret)) = (self.receivers.get(endpoint), Secret::new(new)) else { return false };
        receiver.rotate_to(secret);
        true
    }
}

/// Dead letters, in a table.
struct Table(PgPool);

#[async_trait]
impl DeadLetterSink for Table {
    async fn bury(&self, letter: DeadLetter<'_>) -> Result<(), BoxError> {
        let insert = "INSERT INTO dead_letters (id, endpoint, reason, body) VALUES ($1, $2, $3, $4)";
        let insert = sqlx::query(insert).bind(letter.event().id()).bind(letter.endpoint());
        insert.bind(letter.error().to_string()).bind(letter.event().body().to_vec()).execute(&self.0).await?;
        Ok(())
    }
}

/// How often each thing happened, by endpoint.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<String, u64>>>);

impl Metrics {
    fn count(&self, what: &str, endpoint: &str) {
        let line = format!("webhooks_{what}{{endpoint=\"{endpoint}\"}}");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(line).or_default() += 1;
    }

    /// A line for each.
    pub fn text(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().fold(String::new(), |mut text, (line, count)| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{line} {count}");
            text
        })
    }
}

impl Observer for Metrics {
    fn rejected(&self, endpoint: &str, rejection: Rejection) {
        self.count(&format!("rejected_{}", rejection.reason()), endpoint);
    }

    fn handled(&self, delivery: &Delivery, _: Duration) {
        self.count("handled", delivery.endpoint());
    }

    fn failed(&self, delivery: &Delivery, _: &HandlerError, _: Duration) {
        self.count("failed", delivery.endpoint());
    }

    fn dead_lettered(&self, delivery: &Delivery, _: &HandlerError) {
        self.count("dead_lettered", delivery.endpoint());
    }
}
