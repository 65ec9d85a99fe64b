//! A store under test: how its time passes, how long things last in it, and how its server can be
//! taken away.

use std::{any::Any, fmt, future::Future, sync::Arc, time::Duration};

use crate::dedup::{ClaimAnswer, ClaimRequest, DedupStore, Fingerprint, Key, Nonce, StoreError, Token};
use crate::testing::surroundings::Surroundings;

/// The lease where a row is not about the lease, so that a slow server does not make it one.
pub(super) const HELD: Duration = Duration::from_secs(60);

/// The retention where a row is not about the retention.
pub(super) const REMEMBERED: Duration = Duration::from_secs(600);

/// A server's clock may be slewed against the test's, and may count in milliseconds.
const SLACK: Duration = Duration::from_millis(5);

/// A store under test, for [`store_tests!`](crate::store_tests). Clones are the same store.
///
/// The defaults suit a store that lives in real time: leases of 1 s, retentions of 2 s, looked at
/// 300 ms before their end.
#[derive(Clone)]
pub struct Subject {
    pub(super) store: Arc<dyn DedupStore>,
    /// It does not really sleep.
    pub(super) moves_time: bool,
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) margin: Duration,
    pub(super) entries: usize,
    pub(super) in_flight: usize,
    pub(super) bound: Duration,
    pub(super) recovery: Duration,
    /// Dropped after the store.
    surroundings: Surroundings,
}

impl Subject {
    /// A subject with the defaults.
    pub fn new(store: impl DedupStore) -> Self {
        Self {
            store: Arc::new(store),
            moves_time: false,
            lease: Duration::from_secs(1),
            retention: Duration::from_secs(2),
            margin: Duration::from_millis(300),
            entries: 200_000,
            in_flight: 64,
            bound: Duration::from_secs(2),
            recovery: Duration::from_secs(15),
            surroundings: Surroundings::new(|time| tokio::time::sleep(time + SLACK)),
        }
    }

    /// How the store's time is moved, where it need not really pass: a store on a
    /// [`FakeClock`](crate::testing::FakeClock) moves that. It is asked for hours in all. By
    /// default the rows really sleep.
    #[must_use]
    pub fn passing<F: Future<Output = ()> + Send + 'static>(
        mut self,
        pass: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> Self {
        self.surroundings.set_passing(pass);
        self.moves_time = true;
        self
    }

    /// The lease of the rows in which leases lapse. Default 1 s.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// The retention of the rows in which it ends. Default 2 s.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// How long before a deadline the store is asked, less than half of lease and retention.
    /// Default 300 ms. A row that asks too late, because the machine or the store was slow, begins
    /// again; it fails when it was late 20 times.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// How many done entries the store is filled with, in `retained_entries_do_not_slow_the_store`.
    /// Default 200,000; it must be able to keep 10 % more.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// How many calls run at once while the store is filled. Default 64.
    #[must_use]
    pub fn in_flight(mut self, calls: usize) -> Self {
        self.in_flight = calls;
        self
    }

    /// How long a call may take to fail while the server is away. Default 2 s, as long as a
    /// receiver waits for it.
    #[must_use]
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// How long after its start the server may take to be ready, and the store to find it again.
    /// Default 15 s.
    #[must_use]
    pub fn recovery(mut self, recovery: Duration) -> Self {
        self.recovery = recovery;
        self
    }

    /// How to stop the store's server and how to start it again, for the rows of `outage`. `start`
    /// may return before the server is ready.
    #[must_use]
    pub fn outage<F, G>(
        mut self,
        stop: impl Fn() -> F + Send + Sync + 'static,
        start: impl Fn() -> G + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
        G: Future<Output = ()> + Send + 'static,
    {
        self.surroundings.set_outage(stop, start);
        self
    }

    /// Keeps something as long as the store: a server that ends, or a folder that is removed, when
    /// it is dropped.
    #[must_use]
    pub fn keep(mut self, value: impl Any + Send + Sync) -> Self {
        self.surroundings.keep(value);
        self
    }

    pub(super) async fn pass(&self, time: Duration) {
        self.surroundings.pass(time).await;
    }

    pub(super) async fn stop(&self) {
        self.surroundings.stop().await;
    }

    pub(super) async fn start(&self) {
        self.surroundings.start().await;
    }

    /// A claim of the given event by a delivery that is like no other, held for long.
    pub(super) async fn claim(&self, key: &Key) -> ClaimAnswer {
        self.claim_as(key, 1, nonce()).await
    }

    pub(super) async fn claim_as(&self, key: &Key, body: u8, nonce: Nonce) -> ClaimAnswer {
        self.try_claim(key, body, nonce).await.expect("the store answers a claim")
    }

    pub(super) async fn try_claim(&self, key: &Key, body: u8, nonce: Nonce) -> Result<ClaimAnswer, StoreError> {
        self.store.claim(request(key, body, nonce, HELD, REMEMBERED)).await
    }

    pub(super) async fn try_claim_for(
        &self,
        key: &Key,
        body: u8,
        nonce: Nonce,
        lease: Duration,
    ) -> Result<ClaimAnswer, StoreError> {
        self.store.claim(request(key, body, nonce, lease, REMEMBERED)).await
    }

    pub(super) async fn withdraw(&self, key: &Key, nonce: Nonce) -> bool {
        self.store.withdraw(key, nonce).await.expect("the store answers a withdrawal")
    }

    pub(super) async fn win(&self, key: &Key) -> Token {
        won(self.claim(key).await)
    }

    /// A claim that lapses within the row.
    pub(super) async fn claim_briefly(&self, key: &Key, nonce: Nonce) -> Result<ClaimAnswer, StoreError> {
        self.store.claim(request(key, 1, nonce, self.lease, self.retention)).await
    }

    pub(super) async fn win_briefly(&self, key: &Key) -> Token {
        won(self.claim_briefly(key, nonce()).await.expect("the store answers a claim"))
    }

    pub(super) async fn complete(&self, key: &Key, token: Token) -> bool {
        self.store.complete(key, token, REMEMBERED).await.expect("the store answers a complete")
    }

    pub(super) async fn complete_briefly(&self, key: &Key, token: Token) -> bool {
        self.store.complete(key, token, self.retention).await.expect("the store answers a complete")
    }

    pub(super) async fn renew(&self, key: &Key, token: Token) -> bool {
        self.store.renew(key, token, HELD).await.expect("the store answers a renewal")
    }

    pub(super) async fn renew_briefly(&self, key: &Key, token: Token) -> bool {
        self.store.renew(key, token, self.lease).await.expect("the store answers a renewal")
    }

    pub(super) async fn release(&self, key: &Key, token: Token) -> bool {
        self.store.release(key, token).await.expect("the store answers a release")
    }

    pub(super) async fn forget(&self, key: &Key) -> bool {
        self.store.forget(key).await.expect("the store answers a forget")
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("lease", &self.lease)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

fn request(key: &Key, body: u8, nonce: Nonce, lease: Duration, retention: Duration) -> ClaimRequest<'_> {
    ClaimRequest::new(key, Fingerprint::from_bytes([body; 32]), nonce, lease, retention)
}

/// Names a delivery that is like no other.
pub(super) fn nonce() -> Nonce {
    Nonce::fresh()
}

/// A text that no other row has, nor an earlier run against the same server.
pub(super) fn unique() -> String {
    format!("{:032x}", Nonce::fresh().get())
}

pub(super) fn key() -> Key {
    Key::new("store behaviours", &format!("evt_{}", unique()))
}

pub(super) fn keys(count: usize) -> Vec<Key> {
    (0..count).map(|_| key()).collect()
}

/// The answer to a claim of what is done.
pub(super) const DONE: ClaimAnswer = ClaimAnswer::Done { same_body: true };

#[track_caller]
pub(super) fn won(answer: ClaimAnswer) -> Token {
    match answer {
        ClaimAnswer::Won(token) => token,
        other => panic!("not won: {other:?}"),
    }
}

#[track_caller]
pub(super) fn in_progress(answer: ClaimAnswer) -> Duration {
    match answer {
        ClaimAnswer::InProgress { retry_after } => retry_after,
        other => panic!("not in progress: {other:?}"),
    }
}
