//! Shows that the rows can fail: for each fault that a store may have, the row about it fails.
#![allow(clippy::unwrap_used)]

use std::{
    collections::HashMap,
    future::{Future, pending, ready},
    panic::catch_unwind,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    behaviours::*,
    run,
    subject::{Subject, nonce},
};
use crate::dedup::{ClaimAnswer, ClaimRequest, DedupStore, Fingerprint, Key, MemoryStore, Nonce, StoreError, Token};
use crate::testing::FakeClock;

/// What a [`Faulty`] store does wrong. Numbers, so that a subject can be a plain function.
type Fault = usize;

const NONE: Fault = 0;
const TOKENS_NOT_COMPARED: Fault = 1;
const BODY_NOT_KEPT: Fault = 2;
const RENEWAL_DOES_NOTHING: Fault = 3;
const RETENTION_ENDLESS: Fault = 4;
const LEASE_ENDLESS: Fault = 5;
const NONCE_IGNORED: Fault = 6;
const KEYS_END_AT_NUL: Fault = 7;
const KEYS_IN_ONE_CASE: Fault = 8;
const ASKS_THEN_WRITES: Fault = 9;
const LOCKED_WHEN_DROPPED: Fault = 10;
const SEARCHES_ALL_IT_HAS: Fault = 11;
const COMPLETES_NOTHING: Fault = 12;
const TOKENS_START_AGAIN: Fault = 13;
const ANSWERS_WITHOUT_SERVER: Fault = 14;
const HANGS_WITHOUT_SERVER: Fault = 15;
const STAYS_AWAY: Fault = 16;
const COMPLETES_FOR_ANOTHER: Fault = 17;
const REPEATS_FROM_MEMORY: Fault = 18;
const WITHDRAWS_NOTHING: Fault = 19;
const WITHDRAWS_FOR_ANOTHER: Fault = 20;
const WITHDRAWS_WHAT_IS_DONE: Fault = 21;
const LEASES_NOT_CAPPED: Fault = 22;

/// A memory store with a fault, whose server can be away.
///
/// A fault that shows only when two calls meet waits for the other call, so that its row finds it
/// in every run.
struct Faulty<const FAULT: Fault> {
    inner: MemoryStore,
    last: Mutex<HashMap<Key, Token>>,
    /// The token that each delivery won.
    answers: Mutex<HashMap<u128, Token>>,
    /// The longest lease that was asked for.
    longest: Mutex<HashMap<Key, Duration>>,
    /// How many claims of a key have begun.
    begun: watch::Sender<HashMap<Key, usize>>,
    /// How many claims of a key were won.
    won: watch::Sender<HashMap<Key, usize>>,
    entries: AtomicU64,
    locked: AtomicBool,
    server: &'static Server,
}

#[derive(Default)]
struct Server {
    away: AtomicBool,
    restarts: AtomicU64,
}

impl<const FAULT: Fault> Faulty<FAULT> {
    async fn reach(&self) -> Result<(), StoreError> {
        let was_away = self.server.restarts.load(Ordering::SeqCst) > 0;
        let away = self.server.away.load(Ordering::SeqCst) || FAULT == STAYS_AWAY && was_away;
        match FAULT {
            ANSWERS_WITHOUT_SERVER => Ok(()),
            HANGS_WITHOUT_SERVER if away => pending().await,
            _ if away => Err(StoreError::Failed("no server".into())),
            _ => Ok(()),
        }
    }

    fn key(&self, key: &Key) -> Key {
        let text = String::from_utf8_lossy(&key.as_bytes()[8..]).into_owned();
        match FAULT {
            KEYS_END_AT_NUL => Key::new("", text.split('\0').next().unwrap()),
            KEYS_IN_ONE_CASE => Key::new("", &text.to_lowercase()),
            _ => key.clone(),
        }
    }

    /// A claim that asks first and writes then: two that come at once both win.
    async fn write_after_both_asked(&self, key: &Key) -> Option<ClaimAnswer> {
        let is_absent = !self.last.lock().unwrap().contains_key(key);
        count(&self.begun, key);
        if !is_absent {
            return None;
        }
        // The second claim asks before the first writes.
        reached(&self.begun, key, 2).await;
        self.last.lock().unwrap().insert(key.clone(), Token::new(1));
        Some(ClaimAnswer::Won(Token::new(1)))
    }

    /// The longest lease that was asked for of this key, for a store that caps no lease.
    fn longest(&self, key: &Key, lease: Duration) -> Duration {
        let mut longest = self.longest.lock().unwrap();
        let longest = longest.entry(key.clone()).or_insert(lease);
        *longest = lease.max(*longest);
        *longest
    }

    fn token(&self, key: &Key, token: Token) -> Token {
        let last = self.last.lock().unwrap().get(key).copied();
        match FAULT {
            TOKENS_NOT_COMPARED | COMPLETES_FOR_ANOTHER => last.unwrap_or(token),
            _ => token,
        }
    }
}

fn count(claims: &watch::Sender<HashMap<Key, usize>>, key: &Key) {
    claims.send_modify(|counts| *counts.entry(key.clone()).or_default() += 1);
}

/// Waits for the other side of a race.
async fn reached(claims: &watch::Sender<HashMap<Key, usize>>, key: &Key, count: usize) {
    let mut claims = claims.subscribe();
    claims.wait_for(|counts| counts.get(key).is_some_and(|reached| *reached >= count)).await.unwrap();
}

#[async_trait]
impl<const FAULT: Fault> DedupStore for Faulty<FAULT> {
    async fn claim(&self, request: ClaimRequest<'_>) -> Result<ClaimAnswer, StoreError> {
        self.reach().await?;
        let key = self.key(request.key());
        let fingerprint = if FAULT == BODY_NOT_KEPT { Fingerprint::from_bytes([0; 32]) } else { request.fingerprint() };
        let nonce = if FAULT == NONCE_IGNORED { nonce() } else { request.nonce() };
        let lease = if FAULT == LEASE_ENDLESS { Duration::MAX } else { request.lease() };
        let request = ClaimRequest::new(&key, fingerprint, nonce, lease, request.retention());
        if FAULT == LOCKED_WHEN_DROPPED {
            if self.locked.swap(true, Ordering::SeqCst) {
                return Err(StoreError::Timeout);
            }
            tokio::task::yield_now().await;
            self.locked.store(false, Ordering::SeqCst);
        }
        if FAULT == SEARCHES_ALL_IT_HAS {
            let started = Instant::now();
            while started.elapsed() < Duration::from_nanos(500) * self.entries.load(Ordering::SeqCst) as u32 {}
        }
        let early = if FAULT == ASKS_THEN_WRITES { self.write_after_both_asked(&key).await } else { None };
        if let Some(won) = early {
            return Ok(won);
        }
        let answered = self.answers.lock().unwrap().get(&nonce.get()).copied();
        if let (REPEATS_FROM_MEMORY, Some(token)) = (FAULT, answered) {
            return Ok(ClaimAnswer::Won(token));
        }
        if FAULT == LEASES_NOT_CAPPED {
            let longest = self.longest(&key, lease);
            let request = ClaimRequest::new(&key, fingerprint, nonce, longest, request.retention());
            return self.inner.claim(request).await;
        }
        let answer = self.inner.claim(request).await?;
        if let ClaimAnswer::Won(token) = answer {
            self.answers.lock().unwrap().insert(nonce.get(), token);
            self.last.lock().unwrap().insert(key.clone(), token);
            count(&self.won, &key);
            if FAULT == TOKENS_START_AGAIN && self.server.restarts.load(Ordering::SeqCst) > 0 {
                return Ok(ClaimAnswer::Won(Token::new(1)));
            }
        }
        Ok(answer)
    }

    async fn renew(&self, key: &Key, token: Token, lease: Duration) -> Result<bool, StoreError> {
        self.reach().await?;
        let lease = if FAULT == RENEWAL_DOES_NOTHING { return Ok(true) } else { lease };
        self.inner.renew(&self.key(key), self.token(key, token), lease).await
    }

    async fn complete(&self, key: &Key, token: Token, retention: Duration) -> Result<bool, StoreError> {
        self.reach().await?;
        self.entries.fetch_add(1, Ordering::SeqCst);
        let retention = match FAULT {
            COMPLETES_NOTHING => return Ok(true),
            RETENTION_ENDLESS => Duration::MAX,
            _ => retention,
        };
        if FAULT == COMPLETES_FOR_ANOTHER {
            // Late: another has taken over.
            reached(&self.won, key, 2).await;
        }
        self.inner.complete(&self.key(key), self.token(key, token), retention).await
    }

    async fn release(&self, key: &Key, token: Token) -> Result<bool, StoreError> {
        self.reach().await?;
        self.inner.release(&self.key(key), self.token(key, token)).await
    }

    async fn withdraw(&self, key: &Key, nonce: Nonce) -> Result<bool, StoreError> {
        self.reach().await?;
        let key = self.key(key);
        let last = self.last.lock().unwrap().get(&key).copied();
        match (FAULT, last) {
            (WITHDRAWS_NOTHING, _) => Ok(true),
            (WITHDRAWS_FOR_ANOTHER, Some(last)) => self.inner.release(&key, last).await,
            (WITHDRAWS_WHAT_IS_DONE, _) if self.inner.forget(&key).await? => Ok(true),
            _ => self.inner.withdraw(&key, nonce).await,
        }
    }

    async fn forget(&self, key: &Key) -> Result<bool, StoreError> {
        self.reach().await?;
        self.inner.forget(&self.key(key)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.reach().await
    }
}

async fn subject<const FAULT: Fault>() -> Subject {
    let clock = FakeClock::at(0);
    let server: &'static Server = Box::leak(Box::default());
    let inner = MemoryStore::default().clock(clock.clone());
    let (last, entries, locked) = (Mutex::default(), AtomicU64::new(0), AtomicBool::new(false));
    let longest = Mutex::default();
    let (answers, begun, won) = (Mutex::default(), watch::Sender::default(), watch::Sender::default());
    Subject::new(Faulty::<FAULT> { inner, last, answers, longest, begun, won, entries, locked, server })
        .passing(move |time| {
            clock.advance(time);
            ready(())
        })
        .margin(Duration::from_nanos(1))
        .entries(10_000)
        .bound(Duration::from_millis(200))
        .recovery(Duration::from_millis(500))
        .outage(
            move || async { server.away.store(true, Ordering::SeqCst) },
            move || async {
                server.restarts.fetch_add(1, Ordering::SeqCst);
                server.away.store(false, Ordering::SeqCst);
            },
        )
}

/// Whether the row passes a store with this fault.
fn passes<const FAULT: Fault, B: Future<Output = ()> + 'static>(row: fn(Subject) -> B) -> bool {
    catch_unwind(|| run(subject::<FAULT>, row)).is_ok()
}

macro_rules! rows {
    ($($fault:ident: $($row:ident),+;)*) => {
        #[test]
        fn a_store_without_fault_passes_what_finds_them() {
            $($(assert!(passes::<NONE, _>($row), stringify!($row));)+)*
        }

        #[test]
        fn every_fault_is_found() {
            $($(assert!(!passes::<$fault, _>($row), "{} is not found by {}", stringify!($fault), stringify!($row));)+)*
        }
    };
}

rows! {
    TOKENS_NOT_COMPARED: a_stale_token_does_nothing, random_traces_are_answered_as_by_the_model;
    COMPLETES_FOR_ANOTHER: of_a_late_complete_and_a_take_over_one_succeeds;
    BODY_NOT_KEPT: the_body_is_remembered_by_its_fingerprint, a_take_over_brings_its_own_body, random_traces_are_answered_as_by_the_model;
    RENEWAL_DOES_NOTHING: a_renewed_lease_counts_from_the_renewal, what_was_never_claimed_is_not_held, random_traces_are_answered_as_by_the_model;
    RETENTION_ENDLESS: a_done_event_is_remembered_for_the_retention, forget_removes_only_what_is_done, random_traces_are_answered_as_by_the_model;
    LEASE_ENDLESS: a_lapsed_lease_is_taken_over_with_a_higher_token, of_many_threads_exactly_one_takes_over,
        a_claim_dropped_at_any_await_lapses, random_traces_are_answered_as_by_the_model;
    NONCE_IGNORED: the_same_delivery_may_repeat_its_claim, a_claim_dropped_at_any_await_can_be_repeated, random_traces_are_answered_as_by_the_model;
    KEYS_END_AT_NUL: no_two_keys_collide;
    KEYS_IN_ONE_CASE: no_two_keys_collide;
    ASKS_THEN_WRITES: of_many_threads_exactly_one_wins_each_key;
    LOCKED_WHEN_DROPPED: a_claim_dropped_at_any_await_can_be_repeated, a_claim_dropped_at_any_await_lapses;
    SEARCHES_ALL_IT_HAS: retained_entries_do_not_slow_the_store;
    COMPLETES_NOTHING: absent_then_in_progress_then_done, a_token_is_spent_by_complete,
        a_complete_dropped_at_any_await_can_be_repeated, random_traces_are_answered_as_by_the_model;
    TOKENS_START_AGAIN: a_token_from_before_an_outage_stays_fenced;
    ANSWERS_WITHOUT_SERVER: calls_fail_in_time_while_the_store_is_away_and_work_when_it_is_back;
    HANGS_WITHOUT_SERVER: calls_fail_in_time_while_the_store_is_away_and_work_when_it_is_back;
    STAYS_AWAY: calls_fail_in_time_while_the_store_is_away_and_work_when_it_is_back;
    REPEATS_FROM_MEMORY: random_traces_are_answered_as_by_the_model;
    WITHDRAWS_NOTHING: a_withdrawn_claim_can_be_won_again, a_withdrawal_dropped_at_any_await_can_be_repeated,
        random_traces_are_answered_as_by_the_model;
    WITHDRAWS_FOR_ANOTHER: withdraw_gives_up_only_the_claim_of_its_nonce, a_late_withdrawal_does_nothing,
        random_traces_are_answered_as_by_the_model;
    WITHDRAWS_WHAT_IS_DONE: withdraw_gives_up_only_the_claim_of_its_nonce, random_traces_are_answered_as_by_the_model;
    LEASES_NOT_CAPPED: no_entry_in_progress_outlasts_the_lease_that_is_asked_for, random_traces_are_answered_as_by_the_model;
}
