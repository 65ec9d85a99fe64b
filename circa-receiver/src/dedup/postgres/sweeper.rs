//! Removing what has ended, a part of the table at a time.
//!
//! The table is walked page by page and not by an index on the end: that index would have to change with every renewal and every `complete`. With so
//! many pages in a step and so many claims between two, about 25 rows are looked at per claim, and what has ended takes at most some 4 % more space.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, PgPool, Row};
use tokio::time::timeout;

use super::{super::StoreError, lending::Lent, statements::Statements, trouble::told};

/// A step every so many claims...
const CLAIMS: u64 = 1_000;

/// ...or with the first claim after such a time.
const PAUSE: Duration = Duration::from_secs(300);

/// What one statement looks at, 4 MiB, and deletes at most: its locks are held for some milliseconds.
const PAGES: i64 = 512;
const ROWS: i64 = 1_000;

/// Statements in one go, while there is much to delete.
const STATEMENTS: usize = 50;

/// How long one statement may take. Nobody waits for it.
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
    /// Counts a claim; whether it is time for a step now.
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

    /// One part of the table, and the next where this one was full of what had ended.
    pub(super) async fn part(&self, pool: &PgPool, statements: &Statements) -> Result<u64, StoreError> {
        if self.running.swap(true, Ordering::Acquire) {
            return Ok(0);
        }
        let running = Running(&self.running);
        let mut removed = 0;
        for _ in 0..STATEMENTS {
            let from = self.next_page.load(Ordering::Relaxed);
            let (gone, pages) = step(pool, statements, from).await?;
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

/// The whole table, once.
pub(super) async fn all(pool: &PgPool, statements: &Statements) -> Result<u64, StoreError> {
    let (mut from, mut removed) = (0, 0);
    loop {
        let (gone, pages) = step(pool, statements, from).await?;
        removed += gone;
        if gone < ROWS {
            from += PAGES;
            if from >= pages {
                return Ok(removed.unsigned_abs());
            }
        }
    }
}

/// How many rows went, and how many pages the table has.
async fn step(pool: &PgPool, statements: &Statements, from: i64) -> Result<(i64, i64), StoreError> {
    let told = |error| told(error, &statements.schema);
    let call = async {
        let mut lent = Lent::from(pool, &statements.schema).await?;
        let query = sqlx::query(AssertSqlSafe(statements.sweep.clone()))
            .bind(format!("({from},0)"))
            .bind(format!("({},0)", from + PAGES))
            .bind(ROWS);
        let row = query.fetch_one(lent.connection()).await.map_err(told)?;
        lent.give_back();
        Ok((row.try_get("gone").map_err(told)?, row.try_get("pages").map_err(told)?))
    };
    timeout(STEP_WITHIN, call).await.unwrap_or(Err(StoreError::Timeout))
}

/// One step at a time in one process, also when a step is dropped.
struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
