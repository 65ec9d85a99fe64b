//! Lends a connection for one call, within a time, and takes it back only if the call was answered
//! to its end.

use std::{
    ops::DerefMut,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::table::Table;
use crate::error::StoreError;

/// How long the pool may take to test a connection that is given back.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(1);

/// How long a connection may take to open. A start waits for so long, no other call.
pub(super) const OPEN_WITHIN: Duration = Duration::from_secs(10);

/// How many connections of the pool are never taken by [`Purpose::Intake`].
const RESERVED: u32 = 2;

/// What a connection is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// To claim an event. Under overload such calls wait for one another, and fail.
    Intake,
    /// To renew, complete or release what is claimed: does not wait behind [`Purpose::Intake`].
    Holder,
}

/// The connections of a pool. Clones are the same connections.
#[derive(Clone)]
pub(crate) struct Connections {
    pool: PgPool,
    /// A permit for each connection that [`Purpose::Intake`] may have at once.
    intake: Arc<Semaphore>,
    within: Duration,
    is_opening: Arc<AtomicBool>,
}

impl Connections {
    /// Lends from this pool, and waits for so long at most, even where the pool would wait longer.
    pub(super) fn new(pool: PgPool, within: Duration) -> Self {
        let intake = pool.options().get_max_connections().saturating_sub(RESERVED).max(1);
        Self { pool, intake: Arc::new(Semaphore::new(intake as usize)), within, is_opening: Arc::default() }
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
        // Each wait has its whole time. Of a common one too little might be left to open a
        // connection in, and one that is half open is dropped with its call: after an outage, when
        // many calls wait for a permit, none would ever be open.
        let permit = match purpose {
            Purpose::Intake => {
                let permit = timeout(self.within, Arc::clone(&self.intake).acquire_owned()).await;
                Some(permit.map_err(|_| self.no_connection())?.expect("the semaphore is never closed"))
            }
            Purpose::Holder => None,
        };
        match timeout(self.within, self.pool.acquire()).await {
            Ok(Ok(connection)) => Ok(Lent { connection: Some(connection), _permit: permit }),
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => {
                self.open_for_later();
                Err(self.no_connection())
            }
            Ok(Err(error)) => Err(table.explain(error)),
        }
    }

    /// Opens a connection for the calls that follow, where the pool has room for one. A call that
    /// gives up drops what it was opening: without this, no connection that takes longer to open
    /// than a call may wait would ever be there.
    fn open_for_later(&self) {
        let has_room = self.pool.size() < self.pool.options().get_max_connections();
        if has_room && !self.is_opening.swap(true, Ordering::Relaxed) {
            let Self { pool, is_opening, .. } = self.clone();
            tokio::spawn(async move {
                if let Ok(Ok(connection)) = timeout(OPEN_WITHIN, pool.acquire()).await {
                    Lent { connection: Some(connection), _permit: None }.put_back().await;
                }
                is_opening.store(false, Ordering::Relaxed);
            });
        }
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
    _permit: Option<OwnedSemaphorePermit>,
}

impl Lent {
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
