//! Connections, lent for one call each: given back only when the call was answered to its end, and within a time.

use std::{ops::DerefMut, time::Duration};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::time::timeout;

use super::{
    super::StoreError,
    trouble::{no_connection, told},
};

/// How long a call waits for a connection, also from a pool that would wait longer.
pub(super) const ACQUIRE_WITHIN: Duration = Duration::from_millis(500);

/// How long a connection that is given back may take to say that it is well.
const GIVE_BACK_WITHIN: Duration = Duration::from_secs(1);

/// A connection out of the pool.
///
/// Dropped without [`Lent::give_back`], as when its call is dropped in the middle or fails, it is closed: what its server still has to say belongs
/// to nobody, and a server that says nothing must not keep a place in the pool.
pub(super) struct Lent(Option<PoolConnection<Postgres>>);

impl Lent {
    pub(super) async fn from(pool: &PgPool, schema: &str) -> Result<Self, StoreError> {
        match timeout(ACQUIRE_WITHIN, pool.acquire()).await {
            Ok(Ok(connection)) => Ok(Self(Some(connection))),
            Ok(Err(sqlx::Error::PoolTimedOut)) | Err(_) => Err(no_connection(ACQUIRE_WITHIN)),
            Ok(Err(error)) => Err(told(error, schema)),
        }
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.0.as_mut().expect("it is taken by `give_back` and `drop` alone, which end it").deref_mut()
    }

    /// After an answer that was read to its end.
    pub(super) fn give_back(mut self) {
        if let Some(mut connection) = self.0.take() {
            // The pool asks each connection whether it is well before it takes it back, and waits for ever: a server that vanished at that moment
            // would keep the places of all connections that were on their way.
            tokio::spawn(timeout(GIVE_BACK_WITHIN, connection.return_to_pool()));
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}
