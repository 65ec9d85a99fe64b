//! What becomes of a claim: in progress, done, released, forgotten.

use std::time::Instant;

use crate::dedup::{ClaimAnswer, Token};

use super::super::{
    in_time::{held_until, in_time},
    subject::{DONE, HELD, Subject, in_progress, key, nonce, won},
};

/// The health check of a store that works succeeds.
pub async fn a_store_that_works_says_so(subject: Subject) {
    subject.store.check().await.expect("the store works");
}

/// Contract, section 7: absent -> in progress (token, lease) -> done (retention).
pub async fn absent_then_in_progress_then_done(subject: Subject) {
    let key = key();
    let token = subject.win(&key).await;
    let retry_after = in_progress(subject.claim(&key).await);
    assert!(retry_after <= HELD, "{retry_after:?}");
    assert!(subject.complete(&key, token).await);
    assert_eq!(subject.claim(&key).await, DONE);
}

/// Contract, section 7: in progress -> absent on release.
pub async fn a_released_claim_can_be_won_again(subject: Subject) {
    let key = key();
    let first = subject.win(&key).await;
    assert!(subject.release(&key, first).await);
    let second = subject.win(&key).await;
    assert!(second > first, "{second:?} does not rise above {first:?}");
    assert!(!subject.release(&key, first).await, "released twice");
    in_progress(subject.claim(&key).await);
}

/// The nonce makes a claim whose answer was lost repeatable by the same delivery, and by no other.
pub async fn the_same_delivery_may_repeat_its_claim(subject: Subject) {
    in_time(async || {
        let (key, nonce) = (key(), nonce());
        let claim = async || subject.claim_briefly(&key, nonce).await.expect("the store answers a claim");
        let first = won(claim().await);
        subject.pass(subject.lease / 2).await;
        let ends = Instant::now() + subject.lease;
        let again = won(claim().await);
        held_until(ends, subject.claim(&key).await)?;
        // The lease counts from the repetition: its answer is the one that arrived.
        subject.pass(subject.lease - subject.margin).await;
        held_until(ends, subject.claim(&key).await)?;
        assert!(subject.complete(&key, again).await, "{first:?} {again:?}");
        assert_eq!(claim().await, DONE, "a done event is not won by repeating");
        Ok(())
    })
    .await;
}

/// Contract, section 7: same id with a different body: a duplicate, marked as one of another body.
pub async fn the_body_is_remembered_by_its_fingerprint(subject: Subject) {
    let key = key();
    let token = won(subject.claim_as(&key, 1, nonce()).await);
    in_progress(subject.claim_as(&key, 2, nonce()).await);
    assert!(subject.complete(&key, token).await);
    assert_eq!(subject.claim_as(&key, 1, nonce()).await, DONE);
    assert_eq!(subject.claim_as(&key, 2, nonce()).await, ClaimAnswer::Done { same_body: false });
    assert_eq!(subject.claim_as(&key, 1, nonce()).await, DONE, "the other body must not replace the first");
}

/// Who takes over brings its own body, which is the one that was handled.
pub async fn a_take_over_brings_its_own_body(subject: Subject) {
    let key = key();
    subject.win_briefly(&key).await;
    subject.pass(subject.lease).await;
    let token = won(subject.claim_as(&key, 2, nonce()).await);
    assert!(subject.complete(&key, token).await);
    assert_eq!(subject.claim_as(&key, 2, nonce()).await, DONE);
    assert_eq!(subject.claim_as(&key, 1, nonce()).await, ClaimAnswer::Done { same_body: false });
}

/// Contract, section 7: `forget(id)` lets an operator replay on purpose: of what is done, never of
/// what is in progress.
pub async fn forget_removes_only_what_is_done(subject: Subject) {
    let key = key();
    assert!(!subject.forget(&key).await, "absent");
    let token = subject.win(&key).await;
    assert!(!subject.forget(&key).await, "in progress");
    in_progress(subject.claim(&key).await);
    assert!(subject.complete(&key, token).await);
    assert!(subject.forget(&key).await, "done");
    assert!(!subject.forget(&key).await, "forgotten");
    let again = subject.win(&key).await;
    assert!(again > token, "{again:?} does not rise above {token:?}");
    assert!(subject.complete_briefly(&key, again).await);
    subject.pass(subject.retention).await;
    assert!(!subject.forget(&key).await, "after the retention");
}

/// Nothing is known of a key that was never claimed.
pub async fn what_was_never_claimed_is_not_held(subject: Subject) {
    let key = key();
    let token = Token::new(1);
    assert!(!subject.renew(&key, token).await, "renew");
    assert!(!subject.complete(&key, token).await, "complete");
    assert!(!subject.release(&key, token).await, "release");
    subject.win(&key).await;
}
