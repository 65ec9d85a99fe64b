//! An inbox under test: how its time is moved, and how its server can be taken away.

use std::{any::Any, fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::dedup::Nonce;
use crate::inbox::{AcceptRequest, Accepted, Entry, Inbox, Interest, Lease, LeaseRequest, Leased, Settlement};
use crate::testing::surroundings::Surroundings;

/// The lease that rows ask for.
pub(super) const LEASE: Duration = Duration::from_secs(60);

/// The retention of what rows complete.
pub(super) const RETENTION: Duration = Duration::from_secs(600);

pub(super) const COMPLETE: Settlement = Settlement::Complete { retention: RETENTION };

/// Rows ask so long before a deadline: their calls take real time.
pub(super) const MARGIN: Duration = Duration::from_secs(20);

/// An inbox under test, for [`inbox_tests!`](crate::inbox_tests). Clones are the same inbox.
#[derive(Clone)]
pub struct Subject {
    pub(super) inbox: Arc<dyn Inbox>,
    pub(super) entries: usize,
    pub(super) in_flight: usize,
    pub(super) bound: Duration,
    pub(super) recovery: Duration,
    /// Dropped after the inbox.
    surroundings: Surroundings,
}

impl Subject {
    /// An inbox, and how its time is moved: leases of 60 s and retentions of 10 minutes do not
    /// really pass.
    pub fn new<F: Future<Output = ()> + Send + 'static>(
        inbox: impl Inbox,
        pass: impl Fn(Duration) -> F + Send + Sync + 'static,
    ) -> Self {
        Self {
            inbox: Arc::new(inbox),
            entries: 200_000,
            in_flight: 256,
            bound: Duration::from_secs(2),
            recovery: Duration::from_secs(15),
            surroundings: Surroundings::new(pass),
        }
    }

    /// How many done events the inbox is filled with, in `done_events_do_not_slow_the_inbox`.
    /// Default 200,000.
    #[must_use]
    pub fn entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// How many calls run at once while the inbox is filled. Default 256.
    #[must_use]
    pub fn in_flight(mut self, calls: usize) -> Self {
        self.in_flight = calls;
        self
    }

    /// How long a call may take to fail while the server is away. Default 2 s.
    #[must_use]
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// How long after its start the server may take to be ready, and the inbox to find it again.
    /// Default 15 s.
    #[must_use]
    pub fn recovery(mut self, recovery: Duration) -> Self {
        self.recovery = recovery;
        self
    }

    /// How to stop the inbox's server and how to start it again, for the rows of `outage`; how to
    /// take its room and how to give it back, for that of `full`.
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

    /// Keeps something as long as the inbox: a server that ends, or a folder that is removed, when
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

    /// By a delivery that is like no other.
    pub(super) async fn accept(&self, entry: &Entry) -> Accepted {
        self.accept_as(entry, Nonce::fresh()).await
    }

    pub(super) async fn accept_as(&self, entry: &Entry, nonce: Nonce) -> Accepted {
        self.inbox.accept(AcceptRequest::new(entry.clone(), nonce)).await.expect("the inbox answers an accept")
    }

    /// Everything that is due at an endpoint.
    pub(super) async fn lease(&self, endpoint: &str) -> Vec<Leased> {
        self.lease_some(&[Interest::all(endpoint)], 1_000).await
    }

    pub(super) async fn lease_some(&self, interests: &[Interest], limit: usize) -> Vec<Leased> {
        let request = LeaseRequest::new("a row", interests, limit, LEASE);
        self.inbox.lease(request).await.expect("the inbox answers a lease")
    }

    /// The only event that is due at an endpoint.
    pub(super) async fn lease_one(&self, endpoint: &str) -> Leased {
        let mut leased = self.lease(endpoint).await;
        assert_eq!(leased.len(), 1, "{leased:?}");
        leased.remove(0)
    }

    pub(super) async fn renew(&self, lease: Lease) -> bool {
        self.inbox.renew(lease, LEASE).await.expect("the inbox answers a renewal")
    }

    pub(super) async fn settle(&self, lease: Lease, settlement: Settlement) -> bool {
        self.inbox.settle(lease, settlement).await.expect("the inbox answers a settlement")
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

/// The name of an endpoint that no other row has, nor an earlier run against the same server.
pub(super) fn endpoint() -> String {
    format!("inbox behaviours {:032x}", Nonce::fresh().get())
}

/// An event of type `row.event` with a body that names it.
pub(super) fn entry(endpoint: &str, id: &str) -> Entry {
    entry_with(endpoint, id, "row.event", id.as_bytes())
}

pub(super) fn entry_with(endpoint: &str, id: &str, event_type: &str, body: &[u8]) -> Entry {
    Entry::from_parts(endpoint, id, event_type, r#"{"sender":"circa"}"#, Bytes::copy_from_slice(body))
}

/// Failed, to be tried again after so long.
pub(super) fn retry(after: Duration) -> Settlement {
    Settlement::Retry { after, error: "it failed".to_owned() }
}
