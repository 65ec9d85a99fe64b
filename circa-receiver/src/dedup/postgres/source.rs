//! Where the connections come from: a pool of the user's, or one of the store's own, opened when it is first needed.

use std::{sync::OnceLock, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{super::StoreError, lending::ACQUIRE_WITHIN};

/// Enough for some thousand calls a second; a server with the usual limit of 100 has room for a dozen replicas.
const CONNECTIONS: u32 = 8;

pub(super) struct Source {
    pool: OnceLock<PgPool>,
    own: Option<Box<PgConnectOptions>>,
    connections: u32,
}

impl Source {
    pub(super) fn given(pool: PgPool) -> Self {
        Self { pool: OnceLock::from(pool), own: None, connections: CONNECTIONS }
    }

    pub(super) fn url(url: &str) -> Result<Self, StoreError> {
        let wrong = |why: &str| {
            StoreError::Failed(format!(
                "the PostgreSQL URL cannot be read ({why}): it should look like postgres://user:password@host:5432/database, with \
                 special characters of the password percent-encoded"
            ).into())
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong("it does not start with postgres://"));
        }
        let options: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| wrong(&error.to_string()))?;
        Ok(Self { pool: OnceLock::new(), own: Some(Box::new(options)), connections: CONNECTIONS })
    }

    pub(super) fn set_connections(&mut self, most: u32) {
        self.connections = most.max(1);
    }

    /// The pool. To be called where a runtime is: a pool that is opened starts its housekeeping.
    pub(super) fn pool(&self, timeout: Duration) -> &PgPool {
        self.pool.get_or_init(|| {
            let options = self.own.as_deref().cloned().unwrap_or_default();
            let (statement, lock) = (timeout.as_millis().max(1), (timeout / 2).as_millis().max(1));
            let options = options.options([("statement_timeout", statement), ("lock_timeout", lock)]);
            let named = options.get_application_name().is_some();
            let options = if named { options } else { options.application_name("circa-receiver") };
            PgPoolOptions::new()
                .max_connections(self.connections)
                .acquire_timeout(ACQUIRE_WITHIN)
                // A round trip a call; the store copes with broken connections instead.
                .test_before_acquire(false)
                .connect_lazy_with(options)
        })
    }
}
