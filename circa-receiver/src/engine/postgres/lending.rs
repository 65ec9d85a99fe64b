//! Lends a connection for one call, within a time, and takes it back only if the call was answered
//! to its end.

use std::{ops::DerefMut, pin::pin, sync::Arc, time::Duration};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::timeout,
};

use super::table::Table;
use crate::error::StoreError;

/// How long the pool may take to test a connection that is given back.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(1);

/// How long a connection may take to open, or as long as a call may wait for it, if that is longer.
/// A start waits for so long.
pub(super) const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// The same while another connection opens. A server that refuses connections is asked again by the
/// pool with a growing backoff; a new attempt starts with a short one.
const OPEN_BESIDE_WITHIN: Duration = Duration::from_secs(2);

/// How many connections of the pool are never taken by [`Purpose::Intake`], which has one at least.
const RESERVED: u32 = 2;

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// To claim an event. Under overload such calls wait for one another, and fail.
    Intake,
    /// To renew, complete or release what is claimed: needs no permit of [`Purpose::Intake`].
    Holder,
}

/// The connections of a pool. Clones are the same connections.
#[derive(Clone)]
pub(crate) struct Connections {
    pool: PgPool,
    /// A permit for each connection: with one, a call does not queue in the pool behind others.
    all: Arc<Semaphore>,
    /// A permit for each connection that [`Purpose::Intake`] may have at once.
    intake: Arc<Semaphore>,
    within: Duration,
    /// A permit for the one connection that may take [`OPEN_WITHIN`] to open.
    patience: Arc<Semaphore>,
}

/// Of [`Connections::intake`], where that is needed, and of [`Connections::all`].
type Permits = (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit);

impl Connections {
    /// Lends from this pool, and waits for so long at most, even where the pool would wait longer.
    pub(super) fn new(pool: PgPool, within: Duration) -> Self {
        let most = pool.options().get_max_connections();
        let permits = |count: u32| Arc::new(Semaphore::new(count.max(1) as usize));
        let (all, intake) = (permits(most), permits(most.saturating_sub(RESERVED)));
        Self { pool, all, intake, within, patience: permits(1) }
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// How long a call may wait for a connection.
    pub(super) fn within(&self) -> Duration {
        self.within
    }

    /// Opens a connection, where none is open: for a start, which may wait for longer than a call.
    pub(crate) async fn open(&self, table: &Table) -> Result<(), StoreError> {
        let patient = Self { within: OPEN_WITHIN.max(self.within), ..self.clone() };
        patient.lend(Purpose::Holder, table).await?.put_back().await;
        Ok(())
    }

    pub(crate) async fn lend(&self, purpose: Purpose, table: &Table) -> Result<Lent, StoreError> {
        table.check_name()?;
        // Each wait has its whole time: of a common one too little might be left to open a
        // connection in.
        let permits = timeout(self.within, self.permits(purpose)).await.map_err(|_| self.no_connection())?;
        let (acquired, most) = (self.pool.acquire(), self.pool.options().get_max_connections());
        let lent = async {
            if self.pool.num_idle() == 0 && self.pool.size() < most {
                return self.open_apart(acquired, permits).await;
            }
            // It tests an open one, or waits for one that others of a user's pool have.
            acquired.await.map(|connection| Lent::new(connection, permits))
        };
        match timeout(self.within, lent).await.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(lent) => Ok(lent),
            Err(sqlx::Error::PoolTimedOut) => Err(self.no_connection()),
            Err(error) => Err(table.explain(error)),
        }
    }

    async fn permits(&self, purpose: Purpose) -> Permits {
        let permit = |of: &Arc<Semaphore>| {
            let permit = Arc::clone(of).acquire_owned();
            async { permit.await.expect("the semaphores are never closed") }
        };
        let intake = match purpose {
            Purpose::Intake => Some(permit(&self.intake).await),
            Purpose::Holder => None,
        };
        (intake, permit(&self.all).await)
    }

    /// Waits for `acquired` in a task of its own, which goes on when the caller gives up: the
    /// connection then serves later calls. Dropped, it would leave a half-open connection, which
    /// the server must still set up and end; after a standstill it would work through all of these
    /// first.
    async fn open_apart(
        &self,
        acquired: impl Future<Output = Result<PoolConnection<Postgres>, sqlx::Error>> + Send + 'static,
        (mut intake, permit): Permits,
    ) -> Result<Lent, sqlx::Error> {
        let (mut caller, opened) = oneshot::channel();
        let patience = Arc::clone(&self.patience).try_acquire_owned().ok();
        let limit = if patience.is_some() { OPEN_WITHIN } else { OPEN_BESIDE_WITHIN }.max(self.within);
        tokio::spawn(async move {
            let mut opening = pin!(timeout(limit, acquired));
            let connection = tokio::select! {
                biased;
                connection = &mut opening => connection,
                // The caller gave up. A small pool has one intake permit: other claims must not wait
                // for this connection.
                () = caller.closed(), if patience.is_some() => {
                    intake = None;
                    opening.await
                }
            };
            drop(patience);
            let connection = connection.unwrap_or(Err(sqlx::Error::PoolTimedOut));
            let lent = connection.map(|connection| Lent::new(connection, (intake, permit)));
            if let Err(Ok(lent)) = caller.send(lent) {
                lent.put_back().await;
            }
        });
        // Without an answer: the task was dropped with its runtime, or a hook of the pool panicked.
        opened.await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    fn no_connection(&self) -> StoreError {
        StoreError::Failed(
            format!(
                "PostgreSQL: no connection within {:?}: the server cannot be reached, or all connections of the pool are in use",
                self.within
            )
            .into(),
        )
    }
}

/// A connection out of the pool.
///
/// Dropped without [`Lent::give_back`], as when its call failed or was itself dropped, it is
/// closed: a late answer of the server belongs to no call, and a server that does not answer must
/// not keep a place in the pool.
pub(crate) struct Lent {
    connection: Option<PoolConnection<Postgres>>,
    _permits: Permits,
}

impl Lent {
    fn new(connection: PoolConnection<Postgres>, permits: Permits) -> Self {
        Self { connection: Some(connection), _permits: permits }
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("only `put_back` and `drop` take it, and they end this value").deref_mut()
    }

    /// After an answer that was read to its end. The caller does not wait.
    pub(crate) fn give_back(self) {
        tokio::spawn(self.put_back());
    }

    /// As [`Lent::give_back`]; the connection is free when this ends.
    pub(super) async fn put_back(mut self) {
        if let Some(mut connection) = self.connection.take() {
            // The pool tests each connection before it takes it back, without a timeout of its own:
            // without this one, a server that vanishes at that moment would keep the places of
            // these connections. Until the test is over, `self` holds the permit: the connection is
            // not free for others before.
            let _ = timeout(GIVE_BACK_WITHIN, connection.return_to_pool()).await;
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}
