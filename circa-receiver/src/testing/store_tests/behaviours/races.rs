//! Races: of all calls that come at once, one succeeds.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::dedup::{ClaimAnswer, Key, Token};

use super::super::{
    run::all_at_once,
    subject::{DONE, Subject, key, keys},
};

const KEYS: usize = 200;

/// Keys, and how often something was reached for each.
#[derive(Clone)]
struct Counted(Arc<Vec<(Key, AtomicUsize)>>);

impl Counted {
    fn new(keys: Vec<Key>) -> Self {
        Self(Arc::new(keys.into_iter().map(|key| (key, AtomicUsize::new(0))).collect()))
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &Key, &AtomicUsize)> {
        self.0.iter().enumerate().map(|(index, (key, count))| (index, key, count))
    }

    fn assert_one_each(&self) {
        for (index, _, count) in self.iter() {
            assert_eq!(count.load(Ordering::SeqCst), 1, "key {index}");
        }
    }
}

async fn one_wins_each(subject: &Subject, keys: Vec<Key>) {
    let winners = Counted::new(keys);
    all_at_once(|| {
        let (subject, winners) = (subject.clone(), winners.clone());
        async move {
            for (_, key, winners) in winners.iter() {
                if let ClaimAnswer::Won(_) = subject.claim(key).await {
                    winners.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    })
    .await;
    winners.assert_one_each();
}

/// Contract, section 7: `claim` is one atomic operation in the store.
pub async fn of_many_threads_exactly_one_wins_each_key(subject: Subject) {
    one_wins_each(&subject, keys(KEYS)).await;
}

/// As above, for a claim whose holder is gone: one takes over.
pub async fn of_many_threads_exactly_one_takes_over(subject: Subject) {
    let keys = keys(KEYS);
    for key in &keys {
        subject.win_briefly(key).await;
    }
    subject.pass(subject.lease).await;
    one_wins_each(&subject, keys).await;
}

/// Contract, section 7: exactly one run to the end, while every thread claims, releases and
/// completes as it can.
pub async fn of_many_threads_exactly_one_completes_each_key(subject: Subject) {
    let keys = keys(KEYS);
    let (held, completed) = (Counted::new(keys.clone()), Counted::new(keys));
    all_at_once(|| {
        let (subject, held, completed) = (subject.clone(), held.clone(), completed.clone());
        async move {
            for ((index, key, held), (_, _, completed)) in held.iter().zip(completed.iter()) {
                let mut releases = 2;
                loop {
                    match subject.claim(key).await {
                        ClaimAnswer::Done { .. } => break,
                        ClaimAnswer::InProgress { .. } => tokio::task::yield_now().await,
                        ClaimAnswer::Won(token) => {
                            assert_eq!(held.fetch_add(1, Ordering::SeqCst), 0, "key {index} has two holders");
                            tokio::task::yield_now().await;
                            held.fetch_sub(1, Ordering::SeqCst);
                            if releases > 0 {
                                releases -= 1;
                                assert!(subject.release(key, token).await, "key {index}");
                            } else if subject.complete(key, token).await {
                                completed.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    }
                }
            }
        }
    })
    .await;
    completed.assert_one_each();
}

/// Contract, section 7: a claim that has lapsed is completed by its late holder or taken over by
/// another; if both succeeded, the event would run again although it is done.
pub async fn of_a_late_complete_and_a_take_over_one_succeeds(subject: Subject) {
    let mut lapsed: Vec<(Key, Token)> = Vec::new();
    for _ in 0..KEYS {
        let key = key();
        let token = subject.win_briefly(&key).await;
        lapsed.push((key, token));
    }
    subject.pass(subject.lease).await;
    for (index, (key, token)) in lapsed.into_iter().enumerate() {
        let (late, late_key) = (subject.clone(), key.clone());
        let late = tokio::spawn(async move { late.complete(&late_key, token).await });
        let (other, other_key) = (subject.clone(), key.clone());
        let other = tokio::spawn(async move { other.claim(&other_key).await });
        let completed = late.await.expect("the late holder is answered");
        let answer = other.await.expect("the other delivery is answered");
        match answer {
            ClaimAnswer::Won(_) => assert!(!completed, "key {index}: completed by one, won by another"),
            answer => assert_eq!((completed, answer), (true, DONE), "key {index}"),
        }
    }
}
