//! Completing and accepting in a transaction on another connection to the file.

use std::sync::Arc;

use circa_receiver::{
    Completion, CompletionError, Inbox, SqliteInbox, async_trait,
    inbox::{
        AcceptRequest, Accepted,
        rusqlite::{Transaction, TransactionBehavior::Immediate},
    },
};

use super::Folder;
use crate::inbox::transactions::{Books, End};

struct InFile {
    inbox: Arc<SqliteInbox>,
    folder: Folder,
}

#[async_trait]
impl Books for InFile {
    fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::clone(&self.inbox) as _
    }

    async fn book(&self, event: &str, completion: &Completion, end: End) -> Result<(), CompletionError> {
        let mut connection = self.folder.connection();
        let transaction = connection.transaction_with_behavior(Immediate).unwrap();
        transaction.execute("INSERT INTO books (event) VALUES (?1)", [event]).unwrap();
        self.inbox.complete_in(&transaction, completion)?;
        end_with(transaction, end);
        Ok(())
    }

    async fn accept(&self, event: &str, request: &AcceptRequest, end: End) -> Accepted {
        let mut connection = self.folder.connection();
        let transaction = connection.transaction_with_behavior(Immediate).unwrap();
        transaction.execute("INSERT INTO books (event) VALUES (?1)", [event]).unwrap();
        let accepted = self.inbox.accept_in(&transaction, request).unwrap();
        end_with(transaction, end);
        accepted
    }

    async fn booked(&self) -> Vec<String> {
        let connection = self.folder.connection();
        let mut events = connection.prepare("SELECT event FROM books ORDER BY rowid").unwrap();
        events.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

fn end_with(transaction: Transaction<'_>, end: End) {
    match end {
        End::Commit => transaction.commit().unwrap(),
        End::RollBack => transaction.rollback().unwrap(),
    }
}

async fn books() -> InFile {
    let folder = Folder::new();
    let inbox = Arc::new(SqliteInbox::open(folder.file()).unwrap());
    folder.connection().execute_batch("CREATE TABLE books (event TEXT NOT NULL)").unwrap();
    InFile { inbox, folder }
}

transaction_tests!(books);

/// The tables of a handler keep nobody from opening the file again.
#[tokio::test]
async fn a_file_with_tables_of_the_handler_is_opened_again() {
    let InFile { inbox, folder } = books().await;
    drop(inbox);
    SqliteInbox::open(folder.file()).unwrap().check().await.unwrap();
}
