//! Tokens: a holder whose claim has passed to another can do no harm.

use super::super::subject::{DONE, Subject, in_progress, key};

/// Contract, section 7: `complete` and `release` do nothing if the claim has since passed to
/// another holder (fencing).
pub async fn a_stale_token_does_nothing(subject: Subject) {
    let key = key();
    let stale = subject.win_briefly(&key).await;
    subject.pass(subject.lease).await;
    let token = subject.win(&key).await;
    assert!(!subject.renew(&key, stale).await, "renew");
    assert!(!subject.complete(&key, stale).await, "complete");
    assert!(!subject.release(&key, stale).await, "release");
    in_progress(subject.claim(&key).await);
    assert!(subject.complete(&key, token).await);
    for (operation, did) in [
        ("renew", subject.renew(&key, stale).await),
        ("complete", subject.complete(&key, stale).await),
        ("release", subject.release(&key, stale).await),
    ] {
        assert!(!did, "{operation} after the other holder was done");
    }
    assert_eq!(subject.claim(&key).await, DONE);
}

/// A holder that is done holds nothing any more.
pub async fn a_token_is_spent_by_complete(subject: Subject) {
    let key = key();
    let token = subject.win(&key).await;
    assert!(subject.complete(&key, token).await);
    assert!(!subject.release(&key, token).await, "released after complete");
    assert!(!subject.renew(&key, token).await, "renewed after complete");
    assert_eq!(subject.claim(&key).await, DONE);
}

/// A key's token rises with every claim, so that no holder is taken for another.
pub async fn every_claim_of_a_key_has_a_token_of_its_own(subject: Subject) {
    let key = key();
    let mut last = None;
    for round in 0..100 {
        let token = subject.win(&key).await;
        assert!(Some(token) > last, "round {round}: {token:?} does not rise above {last:?}");
        last = Some(token);
        // Every way in which a claim ends by itself.
        if round % 2 == 0 {
            assert!(subject.release(&key, token).await, "round {round}");
        } else {
            assert!(subject.complete(&key, token).await, "round {round}");
            assert!(subject.forget(&key).await, "round {round}");
        }
    }
}
