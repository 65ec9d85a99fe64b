//! What is done in a transaction of the user's, on a connection of his own to the same file.

use rusqlite::Transaction;

use super::rows::InboxRows;
use super::store::SqliteInbox;
use crate::completion::{Completion, CompletionError};
use crate::engine::sqlite::Group;
use crate::error::StoreError;
use crate::inbox::accept::{AcceptRequest, Accepted};

impl SqliteInbox {
    /// Completes the run of a handler in its own transaction: its writes and the completion are
    /// committed together, or neither is.
    ///
    /// What the handler writes lies in tables of its own in the inbox's file: one commit of SQLite
    /// is atomic within a file only. Begin the transaction with
    /// [`Immediate`](rusqlite::TransactionBehavior::Immediate), and keep it short: while it has the
    /// lock of the file the inbox waits, for about 1.5 s at most. It blocks the thread.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    ///
    /// use circa_receiver::{
    ///     Completion, Event, HandlerError, SqliteInbox,
    ///     event::DatapointPulled,
    ///     inbox::rusqlite::{Connection, TransactionBehavior::Immediate},
    /// };
    ///
    /// async fn pulled(
    ///     event: Event<DatapointPulled>,
    ///     completion: Completion,
    ///     inbox: Arc<SqliteInbox>,
    /// ) -> Result<(), HandlerError> {
    ///     let booked = tokio::task::spawn_blocking(move || -> Result<(), HandlerError> {
    ///         let mut connection = Connection::open("/var/lib/app/inbox.sqlite")?;
    ///         let transaction = connection.transaction_with_behavior(Immediate)?;
    ///         transaction.execute("INSERT INTO credits (team) VALUES (?1)", [event.team_id()])?;
    ///         inbox.complete_in(&transaction, &completion)?;
    ///         transaction.commit()?;
    ///         Ok(())
    ///     });
    ///     booked.await?
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CompletionError`]; the transaction must then be rolled back, as it is where it is dropped.
    pub fn complete_in(&self, transaction: &Transaction<'_>, completion: &Completion) -> Result<(), CompletionError> {
        let was_held = self.rows_in(transaction).and_then(|rows| rows.complete(completion)).map_err(failed)?;
        completion.used(was_held)
    }

    /// Accepts an event in a transaction of yours: it is in the inbox when that is committed,
    /// together with what you write beside it. For receivers of your own, and for events that you
    /// take over from elsewhere. What [`complete_in`](Self::complete_in) says of the transaction
    /// holds here too.
    ///
    /// Workers find it within 200 ms of the commit.
    ///
    /// ```no_run
    /// # use circa_receiver::{
    /// #     BoxError, Delivery, SqliteInbox,
    /// #     adapter::Head,
    /// #     dedup::Nonce,
    /// #     inbox::{AcceptRequest, Entry, rusqlite::{Connection, TransactionBehavior::Immediate}},
    /// # };
    /// # fn accept(inbox: &SqliteInbox, delivery: &Delivery, head: &impl Head, connection: &mut Connection) -> Result<(), BoxError> {
    /// let request = AcceptRequest::new(Entry::new(delivery, head), Nonce::fresh());
    /// let transaction = connection.transaction_with_behavior(Immediate)?;
    /// transaction.execute("INSERT INTO taken_over (event) VALUES (?1)", [delivery.event().id()])?;
    /// inbox.accept_in(&transaction, &request)?;
    /// transaction.commit()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError`] where SQLite failed; the transaction must then be rolled back.
    pub fn accept_in(&self, transaction: &Transaction<'_>, request: &AcceptRequest) -> Result<Accepted, StoreError> {
        self.rows_in(transaction).and_then(|rows| rows.accept(request)).map_err(failed)
    }

    fn rows_in<'t>(&self, transaction: &'t Transaction<'_>) -> rusqlite::Result<InboxRows<'t>> {
        Ok(InboxRows::new(&Group::at(transaction, self.clock.as_ref())?))
    }
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Failed(error.into())
}
