//! Where the connections come from: a pool of the user's, or one of the store's own, opened when it
//! is first needed.

use std::{sync::OnceLock, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::lending::{Connections, OPEN_WITHIN};
use crate::error::StoreError;

/// Enough for some thousand calls a second; a server with the usual limit of 100 has room for a
/// dozen replicas.
const MAX_CONNECTIONS: u32 = 8;

/// Below the 2 s for which a receiver waits for its store, so that the store's own error is seen.
const TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Source {
    connections: OnceLock<Connections>,
    origin: Origin,
    timeout: Duration,
}

enum Origin {
    Given(PgPool),
    Own { options: Box<PgConnectOptions>, max_connections: u32 },
}

impl Source {
    pub(crate) fn given(pool: PgPool) -> Self {
        Self::new(Origin::Given(pool))
    }

    pub(crate) fn url(url: &str) -> Result<Self, StoreError> {
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
        Ok(Self::new(Origin::Own { options: Box::new(options), max_connections: MAX_CONNECTIONS }))
    }

    fn new(origin: Origin) -> Self {
        Self { connections: OnceLock::new(), origin, timeout: TIMEOUT }
    }

    /// No effect on a pool that was given.
    pub(crate) fn set_max_connections(&mut self, most: u32) {
        if let Origin::Own { max_connections, .. } = &mut self.origin {
            *max_connections = most.max(1);
        }
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// How long a call may take in all.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The connections. To be called inside a runtime: a pool that is opened spawns its
    /// maintenance.
    pub(crate) fn connections(&self) -> &Connections {
        self.connections.get_or_init(|| {
            let within = self.timeout / 2;
            let pool = match &self.origin {
                Origin::Given(pool) => pool.clone(),
                Origin::Own { options, max_connections } => own((**options).clone(), *max_connections, self.timeout),
            };
            Connections::new(pool, within)
        })
    }
}

fn own(options: PgConnectOptions, max_connections: u32, timeout: Duration) -> PgPool {
    let (statement, lock) = (timeout.as_millis().max(1), (timeout / 2).as_millis().max(1));
    let options = options.options([("statement_timeout", statement), ("lock_timeout", lock)]);
    let named = options.get_application_name().is_some();
    let options = if named { options } else { options.application_name("circa-receiver") };
    PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(OPEN_WITHIN.max(timeout))
        // Saves a round trip a call: the store tries again on another connection instead.
        .test_before_acquire(false)
        .connect_lazy_with(options)
}
