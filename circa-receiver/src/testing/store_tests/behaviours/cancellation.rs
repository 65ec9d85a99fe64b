//! Cancellation: a call may be dropped at every await without harm to the store.
//!
//! Each row repeats its call, polls it once more often each time, and drops it, until the call ends
//! by itself.

use crate::dedup::ClaimAnswer;

use super::super::{
    polled::polled,
    subject::{DONE, HELD, REMEMBERED, Subject, in_progress, key, nonce, won},
};

/// The same delivery (its nonce) may claim again when it has lost the answer, and wins.
pub async fn a_claim_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let (key, nonce) = (key(), nonce());
        let answer = polled(times, subject.try_claim(&key, 1, nonce)).await;
        let token = won(subject.claim_as(&key, 1, nonce).await);
        in_progress(subject.claim(&key).await);
        assert!(subject.complete(&key, token).await, "dropped after {times} polls");
        assert_eq!(subject.claim(&key).await, DONE, "dropped after {times} polls");
        if answer.is_some() {
            break;
        }
    }
}

/// Another delivery wins after the lease at the latest.
pub async fn a_claim_dropped_at_any_await_lapses(subject: Subject) {
    let mut left = Vec::new();
    for times in 0.. {
        let key = key();
        let answer = polled(times, subject.claim_briefly(&key, nonce())).await;
        left.push(key);
        if answer.is_some() {
            break;
        }
    }
    subject.pass(subject.lease).await;
    for (times, key) in left.iter().enumerate() {
        let answer = subject.claim(key).await;
        assert!(matches!(answer, ClaimAnswer::Won(_)), "dropped after {times} polls: {answer:?}");
    }
}

/// The claim is held all the same.
pub async fn a_renewal_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let key = key();
        let token = subject.win(&key).await;
        let answer = polled(times, subject.store.renew(&key, token, HELD)).await;
        assert!(subject.renew(&key, token).await, "dropped after {times} polls");
        assert!(subject.complete(&key, token).await, "dropped after {times} polls");
        if answer.is_some() {
            break;
        }
    }
}

/// Whether or not the dropped call came through, the event is done after the next.
pub async fn a_complete_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let key = key();
        let token = subject.win(&key).await;
        let answer = polled(times, subject.store.complete(&key, token, REMEMBERED)).await;
        let again = subject.complete(&key, token).await;
        assert!(times > 0 || again, "a call that was never polled does nothing");
        assert_eq!(subject.claim(&key).await, DONE, "dropped after {times} polls, and then {again}");
        if answer.is_some() {
            break;
        }
    }
}

/// Whether or not the dropped call came through, the event can be claimed after the next.
pub async fn a_release_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let key = key();
        let token = subject.win(&key).await;
        let answer = polled(times, subject.store.release(&key, token)).await;
        let again = subject.release(&key, token).await;
        assert!(times > 0 || again, "a call that was never polled does nothing");
        let next = subject.win(&key).await;
        assert!(next > token, "dropped after {times} polls: {next:?} does not rise above {token:?}");
        assert!(subject.complete(&key, next).await, "dropped after {times} polls");
        if answer.is_some() {
            break;
        }
    }
}

/// Whether or not the dropped call came through, the event can be claimed after the next.
pub async fn a_withdrawal_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let (key, lost) = (key(), nonce());
        let token = won(subject.claim_as(&key, 1, lost).await);
        let answer = polled(times, subject.store.withdraw(&key, lost)).await;
        let again = subject.withdraw(&key, lost).await;
        assert!(times > 0 || again, "a call that was never polled does nothing");
        let next = subject.win(&key).await;
        assert!(next > token, "dropped after {times} polls: {next:?} does not rise above {token:?}");
        if answer.is_some() {
            break;
        }
    }
}

/// Whether or not the dropped call came through, the event can be claimed after the next.
pub async fn a_forget_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let key = key();
        let token = subject.win(&key).await;
        assert!(subject.complete(&key, token).await, "dropped after {times} polls");
        let answer = polled(times, subject.store.forget(&key)).await;
        let again = subject.forget(&key).await;
        assert!(times > 0 || again, "a call that was never polled does nothing");
        let next = subject.win(&key).await;
        assert!(next > token, "dropped after {times} polls: {next:?} does not rise above {token:?}");
        if answer.is_some() {
            break;
        }
    }
}

/// The next check, and the next claim, are answered.
pub async fn a_check_dropped_at_any_await_can_be_repeated(subject: Subject) {
    for times in 0.. {
        let answer = polled(times, subject.store.check()).await;
        subject.store.check().await.expect("the store works");
        subject.win(&key()).await;
        if answer.is_some() {
            break;
        }
    }
}
