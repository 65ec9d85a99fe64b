//! An outage: the store's server goes away and comes back, and the store with it, without being
//! made again.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use tokio::time::{sleep, timeout};

use crate::dedup::{ClaimAnswer, StoreError, Token};

use super::super::subject::{DONE, HELD, REMEMBERED, Subject, key, keys, nonce, won};

/// Deliveries that arrive while the server is away.
const DELIVERIES: usize = 50;

async fn fails_in_time<T>(subject: &Subject, name: &str, call: impl Future<Output = Result<T, StoreError>>) {
    match timeout(subject.bound, call).await {
        Ok(answer) => assert!(answer.is_err(), "{name} is answered without a server"),
        Err(_) => panic!("{name} has not failed within {:?}", subject.bound),
    }
}

async fn until_it_is_back(subject: &Subject) {
    let started = Instant::now();
    // No call may hang on what went away, so each is bounded as the receiver bounds it.
    while !matches!(timeout(subject.bound, subject.store.check()).await, Ok(Ok(()))) {
        assert!(
            started.elapsed() < subject.recovery,
            "the store is not back {:?} after its server was started",
            subject.recovery
        );
        sleep(Duration::from_millis(20)).await;
    }
}

/// Contract, section 7: a store that fails is a 503 in time, not a delivery that hangs; and when
/// the server is back, the same store works.
pub async fn calls_fail_in_time_while_the_store_is_away_and_work_when_it_is_back(subject: Subject) {
    let before = key();
    let token = subject.win(&before).await;
    subject.stop().await;
    fails_in_time(&subject, "claim", subject.claim_briefly(&key(), nonce())).await;
    fails_in_time(&subject, "renew", subject.store.renew(&before, token, HELD)).await;
    fails_in_time(&subject, "complete", subject.store.complete(&before, token, REMEMBERED)).await;
    fails_in_time(&subject, "release", subject.store.release(&before, token)).await;
    fails_in_time(&subject, "withdraw", subject.store.withdraw(&before, nonce())).await;
    fails_in_time(&subject, "forget", subject.store.forget(&before)).await;
    fails_in_time(&subject, "check", subject.store.check()).await;
    let deliveries: Vec<_> = keys(DELIVERIES)
        .into_iter()
        .map(|key| {
            let subject = subject.clone();
            tokio::spawn(async move {
                fails_in_time(&subject, "one claim of many", subject.claim_briefly(&key, nonce())).await;
            })
        })
        .collect();
    for delivery in deliveries {
        delivery.await.expect("every claim fails in time");
    }
    subject.start().await;
    until_it_is_back(&subject).await;
    for key in keys(DELIVERIES) {
        let token = subject.win(&key).await;
        assert!(subject.complete(&key, token).await);
        assert_eq!(subject.claim(&key).await, DONE);
    }
}

/// Contract, section 7: fencing. A server that lost its data must not give out a token again that a
/// holder from before still has.
pub async fn a_token_from_before_an_outage_stays_fenced(subject: Subject) {
    let key = key();
    let mut stale = Token::new(0);
    for _ in 0..3 {
        stale = subject.win_briefly(&key).await;
        subject.pass(subject.lease).await;
    }
    subject.stop().await;
    subject.start().await;
    until_it_is_back(&subject).await;
    let token = won(subject.claim(&key).await);
    assert!(token > stale, "{token:?} does not rise above {stale:?}");
    assert!(!subject.complete(&key, stale).await, "completed by a holder from before");
    assert!(matches!(subject.claim(&key).await, ClaimAnswer::InProgress { .. }), "the claim is still held");
    assert!(subject.complete(&key, token).await);
}
