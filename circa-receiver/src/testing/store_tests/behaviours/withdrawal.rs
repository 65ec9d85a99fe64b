//! Withdrawal: a delivery that lost the answer to its claim gives up what that claim may have left.

use super::super::subject::{DONE, Subject, in_progress, key, nonce, won};

/// Contract, section 7: what an abandoned claim may have left is withdrawn by its nonce.
pub async fn a_withdrawn_claim_can_be_won_again(subject: Subject) {
    let (key, lost) = (key(), nonce());
    assert!(!subject.withdraw(&key, lost).await, "nothing was claimed yet");
    let first = won(subject.claim_as(&key, 1, lost).await);
    assert!(subject.withdraw(&key, lost).await);
    // The answer to a repeated call is not looked at: a store may give that of the first one.
    subject.withdraw(&key, lost).await;
    let second = subject.win(&key).await;
    assert!(second > first, "{second:?} does not rise above {first:?}");
    assert!(!subject.complete(&key, first).await, "completed after it was withdrawn");
    assert!(subject.complete(&key, second).await);
}

/// A claim of another delivery stays, and so does an event that is done.
pub async fn withdraw_gives_up_only_the_claim_of_its_nonce(subject: Subject) {
    let (key, held, other) = (key(), nonce(), nonce());
    let token = won(subject.claim_as(&key, 1, held).await);
    assert!(!subject.withdraw(&key, other).await, "another delivery has it");
    in_progress(subject.claim_as(&key, 1, other).await);
    assert!(subject.complete(&key, token).await, "it was withdrawn by another delivery");
    assert!(!subject.withdraw(&key, held).await, "withdrawn after complete");
    assert_eq!(subject.claim(&key).await, DONE);
}

/// A withdrawal that is late, when another delivery has taken over, changes nothing.
pub async fn a_late_withdrawal_does_nothing(subject: Subject) {
    let (key, lost) = (key(), nonce());
    subject.claim_briefly(&key, lost).await.expect("the store answers a claim");
    subject.pass(subject.lease).await;
    let token = subject.win(&key).await;
    assert!(!subject.withdraw(&key, lost).await, "another delivery has it");
    in_progress(subject.claim(&key).await);
    assert!(subject.complete(&key, token).await, "it was withdrawn by another delivery");
}
