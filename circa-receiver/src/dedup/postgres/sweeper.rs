//! Removes the rows that have ended, a part of the table at a time.
//!
//! The sweep walks the table page by page, without an index on the end of a row: every renewal and
//! every `complete` would have to change that index. With the pages of a step and the claims
//! between two steps below, about 25 rows are read per claim, and rows that have ended take about 4
//! % more space at most.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, Row};
use tokio::time::timeout;

use super::statements::Statements;
use crate::engine::postgres::{Connections, Purpose};
use crate::error::StoreError;

/// A step is due after so many claims...
const CLAIMS: u64 = 1_000;

/// ...or with the first claim after this time.
const PAUSE: Duration = Duration::from_secs(300);

/// What one statement reads (4 MiB) and deletes at most, so that it holds its locks for some
/// milliseconds.
const PAGES: i64 = 512;
const ROWS: i64 = 1_000;

/// The statements of one step at most, while there is much to delete.
const STATEMENTS: usize = 50;

/// How long one statement may take. No delivery waits for it.
const STEP_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Sweeper {
    next_page: AtomicI64,
    claims: AtomicU64,
    last: Mutex<Instant>,
    running: AtomicBool,
}

impl Default for Sweeper {
    fn default() -> Self {
        Self {
            next_page: AtomicI64::new(0),
            claims: AtomicU64::new(0),
            last: Mutex::new(Instant::now()),
            running: AtomicBool::new(false),
        }
    }
}

impl Sweeper {
    /// Counts a claim. Whether a step is due now.
    pub(super) fn is_due(&self) -> bool {
        let claims = self.claims.fetch_add(1, Ordering::Relaxed) + 1;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if claims < CLAIMS && last.elapsed() < PAUSE {
            return false;
        }
        self.claims.store(0, Ordering::Relaxed);
        *last = Instant::now();
        true
    }

    /// Sweeps one part of the table, and the same part again while it is full of rows that have
    /// ended.
    pub(super) async fn part(&self, connections: &Connections, statements: &Statements) -> Result<u64, StoreError> {
        if self.running.swap(true, Ordering::Acquire) {
            return Ok(0);
        }
        let running = Running(&self.running);
        let mut removed = 0;
        for _ in 0..STATEMENTS {
            let from = self.next_page.load(Ordering::Relaxed);
            let (gone, pages) = step(connections, statements, from).await?;
            removed += gone;
            if gone < ROWS {
                let next = from + PAGES;
                self.next_page.store(if next < pages { next } else { 0 }, Ordering::Relaxed);
                break;
            }
        }
        drop(running);
        Ok(removed.unsigned_abs())
    }
}

/// Sweeps the whole table, once.
pub(super) async fn all(connections: &Connections, statements: &Statements) -> Result<u64, StoreError> {
    let (mut from, mut removed) = (0, 0);
    loop {
        let (gone, pages) = step(connections, statements, from).await?;
        removed += gone;
        if gone < ROWS {
            from += PAGES;
            if from >= pages {
                return Ok(removed.unsigned_abs());
            }
        }
    }
}

/// Runs one statement. How many rows it removed, and how many pages the table has.
async fn step(connections: &Connections, statements: &Statements, from: i64) -> Result<(i64, i64), StoreError> {
    let explain = |error| statements.table.explain(error);
    let call = async {
        let mut lent = connections.lend(Purpose::Intake, &statements.table).await?;
        let query = sqlx::query(AssertSqlSafe(statements.sweep.clone()))
            .bind(format!("({from},0)"))
            .bind(format!("({},0)", from + PAGES))
            .bind(ROWS);
        let row = query.fetch_one(lent.connection()).await.map_err(explain)?;
        lent.give_back();
        Ok((row.try_get("gone").map_err(explain)?, row.try_get("pages").map_err(explain)?))
    };
    timeout(STEP_WITHIN, call).await.unwrap_or(Err(StoreError::Timeout))
}

/// Ends the step when it is dropped, so that the next one can run.
struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
