//! Leases and retentions: when they end, and what they count from.

use super::super::subject::{DONE, Subject, in_progress, key};

/// Contract, section 7: in progress -> absent on lease expiry; a token rises with every take-over.
pub async fn a_lapsed_lease_is_taken_over_with_a_higher_token(subject: Subject) {
    let key = key();
    let mut last = subject.win_briefly(&key).await;
    for _ in 0..3 {
        subject.pass(subject.lease - subject.margin).await;
        let retry_after = in_progress(subject.claim(&key).await);
        assert!(retry_after <= subject.margin, "{retry_after:?}");
        subject.pass(subject.margin).await;
        let token = subject.win_briefly(&key).await;
        assert!(token > last, "{token:?} does not rise above {last:?}");
        last = token;
    }
}

/// Contract, section 7: the lease is renewed while the handler runs.
pub async fn a_renewed_lease_counts_from_the_renewal(subject: Subject) {
    let key = key();
    let token = subject.win_briefly(&key).await;
    for round in 0..5 {
        subject.pass(subject.lease - subject.margin).await;
        assert!(subject.renew_briefly(&key, token).await, "round {round}");
    }
    subject.pass(subject.lease - subject.margin).await;
    in_progress(subject.claim(&key).await);
    subject.pass(subject.margin).await;
    assert!(subject.win(&key).await > token);
}

/// Contract, section 7: done (retention). The retention counts from `complete`, and a duplicate does not prolong it.
pub async fn a_done_event_is_remembered_for_the_retention(subject: Subject) {
    let key = key();
    let token = subject.win_briefly(&key).await;
    subject.pass(subject.lease / 2).await;
    assert!(subject.complete_briefly(&key, token).await);
    subject.pass(subject.retention / 2).await;
    assert_eq!(subject.claim(&key).await, DONE);
    subject.pass(subject.retention / 2 - subject.margin).await;
    assert_eq!(subject.claim(&key).await, DONE, "before the retention's end");
    subject.pass(subject.margin).await;
    assert!(subject.win(&key).await > token, "after the retention's end");
}
