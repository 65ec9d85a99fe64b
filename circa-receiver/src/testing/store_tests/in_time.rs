//! Repeats a row that was late: where the machine was busy, and the row asked after the lease or
//! the retention had ended, its answer says nothing.

use std::time::{Duration, Instant};

use crate::dedup::ClaimAnswer;

/// How often a row may be late before it fails.
const ATTEMPTS: usize = 20;

/// The lease or the retention had ended when the row asked.
pub(super) struct Late;

/// Runs a row until it was not late.
pub(super) async fn in_time(row: impl AsyncFn() -> Result<(), Late>) {
    for _ in 0..ATTEMPTS {
        if row().await.is_ok() {
            return;
        }
    }
    panic!("late {ATTEMPTS} times: calls take longer than the margin; give the subject a longer lease and margin");
}

/// Late where this does not hold, and what it depends on may have ended by now.
#[track_caller]
pub(super) fn until(ends: Instant, holds: bool, what: &str) -> Result<(), Late> {
    let late = Instant::now() >= ends;
    assert!(holds || late, "{what}");
    if holds { Ok(()) } else { Err(Late) }
}

/// What is left of a lease that holds until an instant at least.
#[track_caller]
pub(super) fn held_until(ends: Instant, answer: ClaimAnswer) -> Result<Duration, Late> {
    match answer {
        ClaimAnswer::InProgress { retry_after } => Ok(retry_after),
        other => until(ends, false, &format!("not in progress: {other:?}")).map(|()| Duration::ZERO),
    }
}
