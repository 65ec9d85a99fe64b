//! Completing and accepting in a transaction of the same database.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use circa_receiver::{
    Completion, CompletionError, Inbox, PostgresInbox, async_trait,
    dedup::sqlx::{
        self, PgPool, Postgres, Transaction,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
    inbox::{AcceptRequest, Accepted},
};
use circa_receiver_test_support::postgres::PostgresServer;

use super::{LEASE, PATIENCE, server};
use crate::inbox::transactions::{Books, End, accept, lease};

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
        let mut transaction = self.begin(event).await;
        self.inbox.complete_in(&mut transaction, completion).await?;
        end_with(transaction, end).await;
        Ok(())
    }

    async fn accept(&self, event: &str, request: &AcceptRequest, end: End) -> Accepted {
        let mut transaction = self.begin(event).await;
        let accepted = self.inbox.accept_in(&mut transaction, request).await.unwrap();
        end_with(transaction, end).await;
        accepted
    }

    async fn booked(&self) -> Vec<String> {
        let events = sqlx::query_scalar("SELECT event FROM books ORDER BY number");
        events.fetch_all(&self.pool).await.unwrap()
    }
}

impl InTable {
    async fn begin(&self, event: &str) -> Transaction<'static, Postgres> {
        let mut transaction = self.pool.begin().await.unwrap();
        let book = sqlx::query("INSERT INTO books (event) VALUES ($1)").bind(event.to_owned());
        book.execute(&mut *transaction).await.unwrap();
        transaction
    }
}

async fn end_with(transaction: Transaction<'static, Postgres>, end: End) {
    match end {
        End::Commit => transaction.commit().await.unwrap(),
        End::RollBack => transaction.rollback().await.unwrap(),
    }
}

/// A schema of its own for every test.
async fn books() -> InTable {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let schema = format!("transactions_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    books_on(server(), &schema).await
}

async fn books_on(server: &PostgresServer, schema: &str) -> InTable {
    let inbox = PostgresInbox::connect_lazy(&server.url()).unwrap().timeout(PATIENCE).schema(schema);
    inbox.migrate().await.unwrap();
    server.sql(&format!("CREATE TABLE {schema}.books (number bigserial, event text NOT NULL)"));
    let options: PgConnectOptions = server.url().parse().unwrap();
    let options = options.options([("search_path", schema)]);
    InTable { inbox: Arc::new(inbox), pool: PgPoolOptions::new().max_connections(2).connect_lazy_with(options) }
}

transaction_tests!(books);

/// As a power cut of the server, before the commit and right after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_has_committed_both_or_neither() {
    let mut server = PostgresServer::start();
    let books = books_on(&server, "dies").await;
    for (id, end, is_done) in [("before", None, false), ("after", Some(End::Commit), true)] {
        accept(&*books.inbox, id).await;
        let leased = lease(&*books.inbox, LEASE).await;
        let completion = leased.completion(LEASE);
        let mut transaction = books.begin(id).await;
        books.inbox.complete_in(&mut transaction, &completion).await.unwrap();
        if let Some(end) = end {
            end_with(transaction, end).await;
        }
        server = tokio::task::spawn_blocking(move || {
            server.restart();
            server
        })
        .await
        .unwrap();
        let booked = server.sql(&format!("SELECT count(*) FROM dies.books WHERE event = '{id}'"));
        assert_eq!(booked, if is_done { "1" } else { "0" }, "{id}");
        let is_held = books.inbox.renew(leased.lease(), LEASE).await.unwrap();
        assert_eq!(is_held, !is_done, "{id}");
    }
}
