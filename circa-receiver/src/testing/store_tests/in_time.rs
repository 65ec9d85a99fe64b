//! "It still holds" can only be seen in time: where the machine had other things to do, and the row asked too late, the row begins again.

use std::time::{Duration, Instant};

use crate::dedup::ClaimAnswer;

/// How often a row may be late before its subject needs a longer lease and margin.
const ATTEMPTS: usize = 20;

/// What was asked about has ended before it was asked about.
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

/// Late if this does not hold, and something that may have ended by now would explain it.
#[track_caller]
pub(super) fn until(ends: Instant, holds: bool, what: &str) -> Result<(), Late> {
    let late = Instant::now() >= ends;
    assert!(holds || late, "{what}");
    if holds { Ok(()) } else { Err(Late) }
}

/// What is left of a lease that holds until then at least.
#[track_caller]
pub(super) fn held_until(ends: Instant, answer: ClaimAnswer) -> Result<Duration, Late> {
    match answer {
        ClaimAnswer::InProgress { retry_after } => Ok(retry_after),
        other => until(ends, false, &format!("not in progress: {other:?}")).map(|()| Duration::ZERO),
    }
}
