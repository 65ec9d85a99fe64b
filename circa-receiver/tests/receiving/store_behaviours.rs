//! What every dedup store must do, as a list of behaviours: each takes a way to a store and to move its time.
//!
//! The contract's section 7, seen through [`DedupStore`] alone, so that any store can run the same list: see [`every_behaviour`].
#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    collections::HashSet,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Barrier,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use circa_receiver::{
    DedupStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, Token},
};

type Passing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A store under test.
pub(crate) struct Subject {
    pub(crate) store: Arc<dyn DedupStore>,
    /// Lets this much of the store's time pass.
    pub(crate) pass: Box<dyn Fn(Duration) -> Passing + Send + Sync>,
    pub(crate) lease: Duration,
    pub(crate) retention: Duration,
    /// How near to a deadline the store is asked; a small part of lease and retention.
    pub(crate) margin: Duration,
}

impl Subject {
    /// A claim of the given event by a delivery that is like no other.
    async fn claim(&self, key: &Key) -> ClaimAnswer {
        self.claim_as(key, 1, nonce()).await
    }

    async fn claim_as(&self, key: &Key, body: u8, nonce: Nonce) -> ClaimAnswer {
        let fingerprint = Fingerprint::from_bytes([body; 32]);
        let request = ClaimRequest::new(key, fingerprint, nonce, self.lease, self.retention);
        self.store.claim(request).await.unwrap()
    }

    async fn win(&self, key: &Key) -> Token {
        won(self.claim(key).await)
    }

    async fn complete(&self, key: &Key, token: Token) -> bool {
        self.store.complete(key, token, self.retention).await.unwrap()
    }

    async fn renew(&self, key: &Key, token: Token) -> bool {
        self.store.renew(key, token, self.lease).await.unwrap()
    }

    async fn release(&self, key: &Key, token: Token) -> bool {
        self.store.release(key, token).await.unwrap()
    }

    async fn pass(&self, time: Duration) {
        (self.pass)(time).await;
    }
}

/// Names the test of every behaviour in the file that brings the store: `every_behaviour!(a_way_to_a_subject);`.
macro_rules! every_behaviour {
    ($subject:path: $($behaviour:ident,)*) => {
        $(
            #[tokio::test]
            async fn $behaviour() {
                store_behaviours::$behaviour(&$subject()).await;
            }
        )*
    };
}
pub(crate) use every_behaviour;

fn nonce() -> Nonce {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    Nonce(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A key that no other test has.
fn key() -> Key {
    Key::new("store behaviours", &format!("evt_{}_{}", std::process::id(), nonce().0))
}

fn won(answer: ClaimAnswer) -> Token {
    match answer {
        ClaimAnswer::Won(token) => token,
        other => panic!("not won: {other:?}"),
    }
}

fn in_progress(answer: ClaimAnswer) -> Duration {
    match answer {
        ClaimAnswer::InProgress { retry_after } => retry_after,
        other => panic!("not in progress: {other:?}"),
    }
}

const DONE: ClaimAnswer = ClaimAnswer::Done { same_body: true };

/// Contract, section 7: absent -> in progress (token, lease) -> done (retention).
pub(crate) async fn absent_then_in_progress_then_done(subject: &Subject) {
    let key = key();
    let token = subject.win(&key).await;
    let retry_after = in_progress(subject.claim(&key).await);
    assert!(retry_after <= subject.lease, "{retry_after:?}");
    assert!(subject.complete(&key, token).await);
    assert_eq!(subject.claim(&key).await, DONE);
}

/// Contract, section 7: in progress -> absent on release.
pub(crate) async fn a_released_claim_can_be_won_again(subject: &Subject) {
    let key = key();
    let first = subject.win(&key).await;
    assert!(subject.release(&key, first).await);
    let second = subject.win(&key).await;
    assert!(second > first, "{second:?} does not rise above {first:?}");
    assert!(!subject.release(&key, first).await, "released twice");
    in_progress(subject.claim(&key).await);
}

/// The nonce makes a claim whose answer was lost repeatable by the same delivery, and by no other.
pub(crate) async fn the_same_delivery_may_repeat_its_claim(subject: &Subject) {
    let key = key();
    let nonce = nonce();
    let first = won(subject.claim_as(&key, 1, nonce).await);
    subject.pass(subject.lease / 2).await;
    let again = won(subject.claim_as(&key, 1, nonce).await);
    in_progress(subject.claim(&key).await);
    // The lease counts from the repetition: its answer is the one that arrived.
    subject.pass(subject.lease - subject.margin).await;
    in_progress(subject.claim(&key).await);
    assert!(subject.complete(&key, again).await, "{first:?} {again:?}");
    assert_eq!(subject.claim_as(&key, 1, nonce).await, DONE, "a done event is not won by repeating");
}

/// Contract, section 7: in progress -> absent on lease expiry; a token rises with every take-over.
pub(crate) async fn a_lapsed_lease_is_taken_over_with_a_higher_token(subject: &Subject) {
    let key = key();
    let mut last = subject.win(&key).await;
    for _ in 0..3 {
        subject.pass(subject.lease - subject.margin).await;
        let retry_after = in_progress(subject.claim(&key).await);
        assert!(retry_after <= subject.margin, "{retry_after:?}");
        subject.pass(subject.margin).await;
        let token = subject.win(&key).await;
        assert!(token > last, "{token:?} does not rise above {last:?}");
        last = token;
    }
}

/// Contract, section 7: `complete` and `release` do nothing if the claim has since passed to another holder (fencing).
pub(crate) async fn a_stale_token_does_nothing(subject: &Subject) {
    let key = key();
    let stale = subject.win(&key).await;
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
pub(crate) async fn a_token_is_spent_by_complete(subject: &Subject) {
    let key = key();
    let token = subject.win(&key).await;
    assert!(subject.complete(&key, token).await);
    assert!(!subject.release(&key, token).await, "released after complete");
    assert!(!subject.renew(&key, token).await, "renewed after complete");
    assert_eq!(subject.claim(&key).await, DONE);
}

/// Contract, section 7: the lease is renewed while the handler runs.
pub(crate) async fn a_renewed_lease_counts_from_the_renewal(subject: &Subject) {
    let key = key();
    let token = subject.win(&key).await;
    for round in 0..5 {
        subject.pass(subject.lease - subject.margin).await;
        assert!(subject.renew(&key, token).await, "round {round}");
    }
    subject.pass(subject.lease - subject.margin).await;
    in_progress(subject.claim(&key).await);
    subject.pass(subject.margin).await;
    assert!(subject.win(&key).await > token);
}

/// Contract, section 7: done (retention). The retention counts from `complete`, and a duplicate does not prolong it.
pub(crate) async fn a_done_event_is_remembered_for_the_retention(subject: &Subject) {
    let key = key();
    let token = subject.win(&key).await;
    subject.pass(subject.lease / 2).await;
    assert!(subject.complete(&key, token).await);
    subject.pass(subject.retention / 2).await;
    assert_eq!(subject.claim(&key).await, DONE);
    subject.pass(subject.retention / 2 - subject.margin).await;
    assert_eq!(subject.claim(&key).await, DONE, "before the retention's end");
    subject.pass(subject.margin).await;
    assert!(subject.win(&key).await > token, "after the retention's end");
}

/// Contract, section 7: same id with a different body: duplicate, and told apart.
pub(crate) async fn the_body_is_remembered_by_its_fingerprint(subject: &Subject) {
    let key = key();
    let token = won(subject.claim_as(&key, 1, nonce()).await);
    in_progress(subject.claim_as(&key, 2, nonce()).await);
    assert!(subject.complete(&key, token).await);
    assert_eq!(subject.claim_as(&key, 1, nonce()).await, DONE);
    assert_eq!(subject.claim_as(&key, 2, nonce()).await, ClaimAnswer::Done { same_body: false });
    assert_eq!(subject.claim_as(&key, 1, nonce()).await, DONE, "the other body must not replace the first");
}

/// Who takes over brings its own body, which is the one that was handled.
pub(crate) async fn a_take_over_brings_its_own_body(subject: &Subject) {
    let key = key();
    won(subject.claim_as(&key, 1, nonce()).await);
    subject.pass(subject.lease).await;
    let token = won(subject.claim_as(&key, 2, nonce()).await);
    assert!(subject.complete(&key, token).await);
    assert_eq!(subject.claim_as(&key, 2, nonce()).await, DONE);
}

/// Contract, section 7: `forget(id)` lets an operator replay on purpose: of what is done, never of what is in progress.
pub(crate) async fn forget_removes_only_what_is_done(subject: &Subject) {
    let key = key();
    let forget = async || subject.store.forget(&key).await.unwrap();
    assert!(!forget().await, "absent");
    let token = subject.win(&key).await;
    assert!(!forget().await, "in progress");
    in_progress(subject.claim(&key).await);
    assert!(subject.complete(&key, token).await);
    assert!(forget().await, "done");
    assert!(!forget().await, "forgotten");
    let again = subject.win(&key).await;
    assert!(again > token, "{again:?} does not rise above {token:?}");
    assert!(subject.complete(&key, again).await);
    subject.pass(subject.retention).await;
    assert!(!forget().await, "after the retention");
}

/// Nothing is known of a key that was never claimed.
pub(crate) async fn what_was_never_claimed_is_not_held(subject: &Subject) {
    let key = key();
    let token = Token(1);
    assert!(!subject.renew(&key, token).await, "renew");
    assert!(!subject.complete(&key, token).await, "complete");
    assert!(!subject.release(&key, token).await, "release");
    subject.win(&key).await;
}

/// Contract, section 7: the key is (endpoint name, event id), structured so that no two pairs collide, whatever stands in them.
pub(crate) async fn no_two_keys_collide(subject: &Subject) {
    let long = "x".repeat(255);
    let shorter = "x".repeat(254);
    let pairs = [
        ("a", "bc"),
        ("ab", "c"),
        ("abc", ""),
        ("", "abc"),
        ("a:b", "c"),
        ("a", "b:c"),
        ("a/b", "c"),
        ("a", "b/c"),
        ("a\0b", "c"),
        ("a", "b\0c"),
        ("a\n", "c"),
        ("{a}", "c"),
        ("A", "bc"),
        ("a ", "bc"),
        ("'; drop table claims; --", "c"),
        ("Übersicht", "ü"),
        ("U\u{308}bersicht", "ü"),
        ("\u{1f41f}", "evt_%_\\"),
        (&long, &long),
        (&long, &shorter),
        (&shorter, &long),
    ];
    let unique = format!("{}_{}", std::process::id(), nonce().0);
    let mut tokens = Vec::new();
    for (endpoint, id) in pairs {
        let key = Key::new(&format!("{unique}{endpoint}"), id);
        let answer = subject.claim(&key).await;
        assert!(matches!(answer, ClaimAnswer::Won(_)), "{endpoint:?}, {id:?}: {answer:?}");
        tokens.push((endpoint, id, key, won(answer)));
    }
    for (endpoint, id, key, token) in &tokens {
        assert!(subject.complete(key, *token).await, "{endpoint:?}, {id:?}");
        assert_eq!(subject.claim(key).await, DONE, "{endpoint:?}, {id:?}");
    }
}

const THREADS: usize = 8;
const KEYS: usize = 200;

/// Runs `race` in many threads at once, each on a runtime of its own.
fn in_threads(subject: &Subject, race: impl Fn(&tokio::runtime::Runtime, &Subject) + Sync) {
    let start = Barrier::new(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                start.wait();
                race(&runtime, subject);
            });
        }
    });
}

/// Contract, section 7: `claim` is one atomic operation in the store.
pub(crate) async fn of_many_threads_exactly_one_wins_each_key(subject: &Subject) {
    let keys: Vec<Key> = (0..KEYS).map(|_| key()).collect();
    let winners: Vec<AtomicUsize> = keys.iter().map(|_| AtomicUsize::new(0)).collect();
    in_threads(subject, |runtime, subject| {
        for (key, winners) in keys.iter().zip(&winners) {
            if let ClaimAnswer::Won(_) = runtime.block_on(subject.claim(key)) {
                winners.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    for (index, winners) in winners.iter().enumerate() {
        assert_eq!(winners.load(Ordering::SeqCst), 1, "key {index}");
    }
}

/// As above, for a claim whose holder is gone: one takes over.
pub(crate) async fn of_many_threads_exactly_one_takes_over(subject: &Subject) {
    let keys: Vec<Key> = (0..KEYS).map(|_| key()).collect();
    for key in &keys {
        subject.win(key).await;
    }
    subject.pass(subject.lease).await;
    let winners: Vec<AtomicUsize> = keys.iter().map(|_| AtomicUsize::new(0)).collect();
    in_threads(subject, |runtime, subject| {
        for (key, winners) in keys.iter().zip(&winners) {
            if let ClaimAnswer::Won(_) = runtime.block_on(subject.claim(key)) {
                winners.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    for (index, winners) in winners.iter().enumerate() {
        assert_eq!(winners.load(Ordering::SeqCst), 1, "key {index}");
    }
}

/// Contract, section 7: exactly one run to the end, while every thread claims, releases and completes as it can.
pub(crate) async fn of_many_threads_exactly_one_completes_each_key(subject: &Subject) {
    let keys: Vec<Key> = (0..KEYS).map(|_| key()).collect();
    let completed: Vec<AtomicUsize> = keys.iter().map(|_| AtomicUsize::new(0)).collect();
    let held: Vec<AtomicUsize> = keys.iter().map(|_| AtomicUsize::new(0)).collect();
    in_threads(subject, |runtime, subject| {
        for (index, key) in keys.iter().enumerate() {
            let mut releases = 2;
            loop {
                match runtime.block_on(subject.claim(key)) {
                    ClaimAnswer::Done { .. } => break,
                    ClaimAnswer::InProgress { .. } => std::thread::yield_now(),
                    ClaimAnswer::Won(token) => {
                        assert_eq!(held[index].fetch_add(1, Ordering::SeqCst), 0, "key {index} has two holders");
                        held[index].fetch_sub(1, Ordering::SeqCst);
                        if releases > 0 {
                            releases -= 1;
                            assert!(runtime.block_on(subject.release(key, token)), "key {index}");
                        } else if runtime.block_on(subject.complete(key, token)) {
                            completed[index].fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            }
        }
    });
    for (index, completed) in completed.iter().enumerate() {
        assert_eq!(completed.load(Ordering::SeqCst), 1, "key {index}");
    }
}

/// Two tokens of one key are never the same, so that no holder is taken for another.
pub(crate) async fn every_claim_of_a_key_has_a_token_of_its_own(subject: &Subject) {
    let key = key();
    let mut tokens = HashSet::new();
    for round in 0..100 {
        let token = subject.win(&key).await;
        assert!(tokens.insert(token.0), "round {round}: {token:?} again");
        assert!(subject.release(&key, token).await);
    }
}
