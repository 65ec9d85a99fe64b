//! A receiver on axum that books a credit for every pull, exactly once, whenever its process is
//! killed: the booking and the completion of its run are one commit in a SQLite file.
//!
//! | environment | |
//! |---|---|
//! | `CIRCA_WEBHOOK_SECRET` | the endpoint's signing secret; required |
//! | `DATABASE` | the file of the inbox and of the credits; `credits.sqlite` by default |
//! | `BIND` | where to listen; `127.0.0.1:3000` by default |
//! | `DIE_AT` | for tests: the process is aborted where a handler comes to this point: `begun`, `booked`, `completed` or `committed` |

use std::{env, path::PathBuf, process::abort, sync::Arc, time::Duration};

use axum::{Router, extract::State};
use circa_receiver::{
    AnyEvent, BoxError, SqliteInbox,
    inbox::rusqlite::{Connection, TransactionBehavior::Immediate},
};
use circa_receiver_axum::{Completion, Event, Failure, Receiver, Secret, Server, event::DatapointPulled, webhook};
use circa_receiver_examples::{bind_address, grace, listen, say};
use tokio::task::spawn_blocking;

/// How long the credits of a process that was killed wait for the next one. Three calls of the
/// inbox fit into it.
const LEASE: Duration = Duration::from_secs(3);
const CALL: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let database = env::var_os("DATABASE").map_or_else(|| PathBuf::from("credits.sqlite"), PathBuf::from);
    let credits = Arc::new(Credits::open(database)?);
    let secret = Secret::from_env("CIRCA_WEBHOOK_SECRET")?;
    let receiver = Receiver::circa(secret).inbox(Arc::clone(&credits.inbox)).build()?;
    let (route, worker) = webhook(receiver.clone()).on(pulled).with_worker(credits);
    tokio::spawn(worker.call_timeout(CALL).lease(LEASE).build()?.run());
    let app = Router::new().route("/webhooks/circa", route);
    let listener = listen(&bind_address()).await?;
    say(&format!("listening on {}", listener.local_addr()?));
    Ok(Server::new([receiver]).grace(grace()?).serve(listener, app).await?)
}

async fn pulled(
    State(credits): State<Arc<Credits>>,
    Event(event): Event<DatapointPulled>,
    completion: Completion,
) -> Result<(), Failure> {
    // SQLite blocks its thread.
    Ok(spawn_blocking(move || credits.book(&event, &completion)).await??)
}

/// The inbox, and in the same file the credits.
struct Credits {
    database: PathBuf,
    inbox: Arc<SqliteInbox>,
}

impl Credits {
    /// The inbox first: it refuses a file in which another application has begun.
    fn open(database: PathBuf) -> Result<Self, BoxError> {
        let inbox = Arc::new(SqliteInbox::open(&database)?);
        let table = "CREATE TABLE IF NOT EXISTS credits (event TEXT NOT NULL, team TEXT) STRICT";
        Connection::open(&database)?.execute_batch(table)?;
        Ok(Self { database, inbox })
    }

    /// Books one credit. The table would take a second one of the same event.
    fn book(&self, event: &AnyEvent, completion: &Completion) -> Result<(), BoxError> {
        let mut connection = Connection::open(&self.database)?;
        let transaction = connection.transaction_with_behavior(Immediate)?;
        may_die("begun");
        transaction.execute("INSERT INTO credits (event, team) VALUES (?1, ?2)", (event.id(), event.team_id()))?;
        may_die("booked");
        self.inbox.complete_in(&transaction, completion)?;
        may_die("completed");
        transaction.commit()?;
        may_die("committed");
        Ok(())
    }
}

/// As `kill -9` in this moment.
fn may_die(point: &str) {
    if env::var("DIE_AT").is_ok_and(|at| at == point) {
        abort();
    }
}
