//! Completing a run in a transaction of its handler (contract, section 8a).

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::dedup::{Key, Token};
use crate::error::StoreError;

/// The right of a handler to end its run in a transaction of its own, so that its writes and the
/// completion of the event are committed together, or neither is.
///
/// A handler that is run from an inbox takes it as an argument and gives it to
/// `PostgresInbox::complete_in` or `SqliteInbox::complete_in`, as the last step before the commit.
/// Without an inbox there is none, and the handler fails with an error that says so. Cheap to
/// clone; clones complete the same run.
#[derive(Clone)]
pub struct Completion(Arc<Inner>);

struct Inner {
    /// The number by which the inbox knows the event, and what fences the run.
    id: u64,
    token: Token,
    key: Key,
    retention: Duration,
    drops_body: bool,
    is_used: AtomicBool,
}

impl Completion {
    pub(crate) fn new(id: u64, token: Token, key: Key, retention: Duration, drops_body: bool) -> Self {
        Self(Arc::new(Inner { id, token, key, retention, drops_body, is_used: AtomicBool::new(false) }))
    }

    /// The number by which the inbox knows the event.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// What fences the run.
    pub fn token(&self) -> Token {
        self.0.token
    }

    /// What identifies the event: a number alone may be that of another inbox.
    pub fn key(&self) -> &Key {
        &self.0.key
    }

    /// For how long the event is remembered.
    pub fn retention(&self) -> Duration {
        self.0.retention
    }

    /// Whether the body is dropped with the completion, as where the worker was built with
    /// [`drop_handled_bodies`](crate::WorkerBuilder::drop_handled_bodies); `false` by default.
    pub fn drops_body(&self) -> bool {
        self.0.drops_body
    }

    /// Whether a transaction has completed the run. It may have been rolled back since.
    pub(crate) fn is_used(&self) -> bool {
        self.0.is_used.load(Ordering::Relaxed)
    }

    /// What a transaction has answered.
    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) fn used(&self, was_held: bool) -> Result<(), CompletionError> {
        if !was_held {
            return Err(CompletionError::Lost);
        }
        self.0.is_used.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl fmt::Debug for Completion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completion").field("id", &self.id()).field("token", &self.token()).finish_non_exhaustive()
    }
}

/// Why a run was not completed in a transaction, which must be rolled back: return it with `?`.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum CompletionError {
    /// Another worker has leased the event since, or it is settled. Nothing that was written for it
    /// here may be committed.
    #[error("the run cannot be completed: its lease was lost, it has ended, or it is of another inbox")]
    Lost,
    /// The database failed.
    #[error(transparent)]
    Failed(#[from] StoreError),
}
