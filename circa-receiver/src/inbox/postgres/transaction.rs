//! What is done in a transaction of the user's.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Postgres, Row, Transaction};

use super::rows;
use super::statements::bind_accept;
use super::store::{MAX_RACES, PostgresInbox, TOO_MANY_RACES, numbers};
use crate::completion::{Completion, CompletionError};
use crate::engine::server_clock::micros;
use crate::error::StoreError;
use crate::inbox::accept::{AcceptRequest, Accepted};
use crate::inbox::lease::Lease;

impl PostgresInbox {
    /// Completes the run of a handler in its own transaction: its writes and the completion are
    /// committed together, or neither is.
    ///
    /// Call it last before the commit. From then on the row of the event is locked, and with an
    /// isolation above READ COMMITTED the statement fails if the lease was renewed since the
    /// transaction began. The transaction must be one of the inbox's database, of a role with the
    /// privileges of [`grants_sql`](Self::grants_sql).
    ///
    /// ```no_run
    /// use std::sync::Arc;
    ///
    /// use circa_receiver::{
    ///     Completion, Event, HandlerError, PostgresInbox,
    ///     dedup::sqlx::{self, PgPool},
    ///     event::DatapointPulled,
    /// };
    ///
    /// #[derive(Clone)]
    /// struct App {
    ///     pool: PgPool,
    ///     inbox: Arc<PostgresInbox>,
    /// }
    ///
    /// async fn pulled(event: Event<DatapointPulled>, completion: Completion, app: App) -> Result<(), HandlerError> {
    ///     let mut transaction = app.pool.begin().await?;
    ///     let book = sqlx::query("INSERT INTO credits (team) VALUES ($1)").bind(event.team_id().map(str::to_owned));
    ///     book.execute(&mut *transaction).await?;
    ///     app.inbox.complete_in(&mut transaction, &completion).await?;
    ///     transaction.commit().await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CompletionError`]; the transaction must then be rolled back, as it is where it is dropped.
    pub async fn complete_in(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        completion: &Completion,
    ) -> Result<(), CompletionError> {
        let (id, token) = numbers(Lease::new(completion.id(), completion.token()));
        let query = sqlx::query(AssertSqlSafe(Arc::clone(&self.statements.complete_in)));
        let query = query.bind(id).bind(token).bind(completion.key().as_bytes().to_vec());
        let query = query.bind(micros(completion.retention())).bind(completion.drops_body());
        let row = query.fetch_one(&mut **transaction).await;
        let was_held = row.and_then(|row| row.try_get("changed")).map_err(|error| self.claims.explain(error))?;
        completion.used(was_held)
    }

    /// Accepts an event in a transaction of yours: it is in the inbox when that is committed,
    /// together with what you write beside it. For receivers of your own, and for events that you
    /// take over from elsewhere.
    ///
    /// Until the commit a delivery of the same event waits, and is answered 503 after
    /// [`timeout`](Self::timeout). Workers find the event within 200 ms of the commit.
    ///
    /// ```no_run
    /// # use circa_receiver::{
    /// #     BoxError, Delivery, PostgresInbox,
    /// #     adapter::Head,
    /// #     dedup::{Nonce, sqlx::{self, PgPool}},
    /// #     inbox::{AcceptRequest, Entry},
    /// # };
    /// # async fn accept(inbox: &PostgresInbox, delivery: &Delivery, head: &impl Head, pool: &PgPool) -> Result<(), BoxError> {
    /// let request = AcceptRequest::new(Entry::new(delivery, head), Nonce::fresh());
    /// let mut transaction = pool.begin().await?;
    /// let note = sqlx::query("INSERT INTO taken_over (event) VALUES ($1)").bind(delivery.event().id().to_owned());
    /// note.execute(&mut *transaction).await?;
    /// inbox.accept_in(&mut transaction, &request).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the server failed; the transaction must then be rolled back.
    pub async fn accept_in(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        request: &AcceptRequest,
    ) -> Result<Accepted, StoreError> {
        for _ in 0..MAX_RACES {
            let query = bind_accept(sqlx::query(AssertSqlSafe(Arc::clone(&self.statements.accept))), request);
            let row = query.fetch_one(&mut **transaction).await;
            let accepted = row.and_then(|row| rows::accepted(&row)).map_err(|error| self.claims.explain(error))?;
            if let Some(accepted) = accepted {
                return Ok(accepted);
            }
        }
        Err(StoreError::Failed(TOO_MANY_RACES.into()))
    }
}
