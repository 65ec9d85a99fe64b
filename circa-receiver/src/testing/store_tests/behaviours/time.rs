//! Leases and retentions: when they end, and what they count from.

use std::time::{Duration, Instant};

use crate::dedup::ClaimAnswer;

use super::super::{
    in_time::{held_until, in_time, until},
    subject::{DONE, Subject, key, nonce},
};

/// Contract, section 7: in progress -> absent on lease expiry; a token rises with every take-over.
pub async fn a_lapsed_lease_is_taken_over_with_a_higher_token(subject: Subject) {
    in_time(async || {
        let key = key();
        let mut ends = Instant::now() + subject.lease;
        let mut last = subject.win_briefly(&key).await;
        for _ in 0..3 {
            subject.pass(subject.lease - subject.margin).await;
            let retry_after = held_until(ends, subject.claim(&key).await)?;
            assert!(retry_after <= subject.margin, "{retry_after:?}");
            subject.pass(subject.margin).await;
            ends = Instant::now() + subject.lease;
            let token = subject.win_briefly(&key).await;
            assert!(token > last, "{token:?} does not rise above {last:?}");
            last = token;
        }
        Ok(())
    })
    .await;
}

/// Contract, section 7: the lease is renewed while the handler runs.
pub async fn a_renewed_lease_counts_from_the_renewal(subject: Subject) {
    in_time(async || {
        let key = key();
        let mut ends = Instant::now() + subject.lease;
        let token = subject.win_briefly(&key).await;
        for round in 0..5 {
            subject.pass(subject.lease - subject.margin).await;
            let renewed = Instant::now() + subject.lease;
            until(ends, subject.renew_briefly(&key, token).await, &format!("round {round}: not renewed"))?;
            ends = renewed;
        }
        subject.pass(subject.lease - subject.margin).await;
        held_until(ends, subject.claim(&key).await)?;
        subject.pass(subject.margin).await;
        assert!(subject.win(&key).await > token);
        Ok(())
    })
    .await;
}

/// Contract, section 7: done (retention). The retention counts from `complete`, and a duplicate
/// does not prolong it.
pub async fn a_done_event_is_remembered_for_the_retention(subject: Subject) {
    in_time(async || {
        let key = key();
        let token = subject.win_briefly(&key).await;
        subject.pass(subject.lease / 2).await;
        let ends = Instant::now() + subject.retention;
        assert!(subject.complete_briefly(&key, token).await);
        subject.pass(subject.retention / 2).await;
        until(ends, subject.claim(&key).await == DONE, "forgotten after half the retention")?;
        subject.pass(subject.retention / 2 - subject.margin).await;
        until(ends, subject.claim(&key).await == DONE, "forgotten before the retention's end")?;
        subject.pass(subject.margin).await;
        assert!(subject.win(&key).await > token, "after the retention's end");
        Ok(())
    })
    .await;
}

/// Contract, section 7: an entry in progress never blocks longer than the lease that is asked for
/// now, whatever clocks did.
pub async fn no_entry_in_progress_outlasts_the_lease_that_is_asked_for(subject: Subject) {
    const HOUR: Duration = Duration::from_secs(3_600);
    in_time(async || {
        let key = key();
        let first = subject.try_claim_for(&key, 1, nonce(), HOUR).await.expect("the store answers a claim");
        let ends = Instant::now() + subject.lease;
        let retry_after =
            held_until(ends, subject.claim_briefly(&key, nonce()).await.expect("the store answers a claim"))?;
        assert!(retry_after <= subject.lease, "{retry_after:?}");
        subject.pass(subject.lease - subject.margin).await;
        held_until(ends, subject.claim(&key).await)?;
        subject.pass(subject.margin).await;
        let token = subject.win(&key).await;
        assert!(ClaimAnswer::Won(token) != first, "{token:?} does not rise");
        Ok(())
    })
    .await;
}
