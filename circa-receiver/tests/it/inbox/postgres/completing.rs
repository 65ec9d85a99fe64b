//! Completing a run in a transaction of the handler's.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use circa_receiver::{
    Completion, CompletionError, Inbox, PostgresInbox, async_trait,
    dedup::sqlx::{
        self, PgPool,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};

use super::{patient, server};
use crate::inbox::completing::{Books, End};

struct InTable {
    inbox: Arc<PostgresInbox>,
    pool: PgPool,
}

#[async_trait]
impl Books for InTable {
    fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::clone(&self.inbox) as _
    }

    async fn book(&self, event: &str, completion: &Completion, end: End) -> Result<(), CompletionError> {
        let mut transaction = self.pool.begin().await.unwrap();
        let book = sqlx::query("INSERT INTO books (event) VALUES ($1)").bind(event.to_owned());
        book.execute(&mut *transaction).await.unwrap();
        self.inbox.complete_in(&mut transaction, completion).await?;
        match end {
            End::Commit => transaction.commit().await.unwrap(),
            End::RollBack => transaction.rollback().await.unwrap(),
        }
        Ok(())
    }

    async fn booked(&self) -> Vec<String> {
        let events = sqlx::query_scalar("SELECT event FROM books ORDER BY number");
        events.fetch_all(&self.pool).await.unwrap()
    }
}

/// A schema of its own for every test.
async fn books() -> InTable {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let schema = format!("completing_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let inbox = Arc::new(patient(&schema));
    inbox.migrate().await.unwrap();
    server().sql(&format!("CREATE TABLE {schema}.books (number bigserial, event text NOT NULL)"));
    let options: PgConnectOptions = server().url().parse().unwrap();
    let options = options.options([("search_path", schema)]);
    InTable { inbox, pool: PgPoolOptions::new().max_connections(2).connect_lazy_with(options) }
}

completing_tests!(books);
