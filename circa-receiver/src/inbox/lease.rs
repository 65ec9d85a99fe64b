//! Leasing: the right of a worker to run an event, for a time.

use std::time::{Duration, SystemTime};

use super::entry::Entry;
use crate::completion::Completion;
use crate::dedup::Token;

/// The right to run one event, until it lapses. Its token rises with every lease of the event, and
/// fences: what another worker has leased since is not changed any more.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Lease {
    id: u64,
    token: Token,
}

impl Lease {
    /// The lease `token` of the entry that the inbox knows by this number.
    pub fn new(id: u64, token: Token) -> Self {
        Self { id, token }
    }

    /// The number by which the inbox knows the entry.
    pub fn id(self) -> u64 {
        self.id
    }

    /// What fences it.
    pub fn token(self) -> Token {
        self.token
    }
}

/// The events of one endpoint that a worker can run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interest {
    endpoint: String,
    types: Option<Vec<String>>,
    except: Vec<String>,
    limit: usize,
    has_tenants: bool,
}

impl Interest {
    /// All events of an endpoint.
    pub fn all(endpoint: &str) -> Self {
        Self { endpoint: endpoint.to_owned(), types: None, except: Vec::new(), limit: usize::MAX, has_tenants: false }
    }

    /// The events of an endpoint that have one of these types.
    pub fn of_types(endpoint: &str, types: Vec<String>) -> Self {
        Self { types: Some(types), ..Self::all(endpoint) }
    }

    /// The events of an endpoint that have none of these types.
    pub fn all_but(endpoint: &str, types: Vec<String>) -> Self {
        Self { except: types, ..Self::all(endpoint) }
    }

    /// No more than so many of them, beside the limit of the whole request.
    #[must_use]
    pub fn at_most(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Those of the endpoint's tenants too, whose endpoints are called `circa/acme` where it is
    /// called `circa`.
    #[must_use]
    pub fn with_tenants(mut self) -> Self {
        self.has_tenants = true;
        self
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether the events of the endpoint's tenants are meant too.
    pub fn has_tenants(&self) -> bool {
        self.has_tenants
    }

    /// The types; `None` for all.
    pub fn types(&self) -> Option<&[String]> {
        self.types.as_deref()
    }

    /// The types that are left out.
    pub fn except(&self) -> &[String] {
        &self.except
    }

    /// How many events at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether it covers an entry.
    pub fn covers(&self, entry: &Entry) -> bool {
        let has_type = |types: &Vec<String>| types.iter().any(|one| one == entry.event_type());
        let is_here = covers_endpoint(&self.endpoint, self.has_tenants, entry.endpoint());
        is_here && self.types.as_ref().is_none_or(has_type) && !has_type(&self.except)
    }
}

/// Whether `other` is the endpoint of this name, or, where these are meant too, that of one of its
/// tenants.
pub(super) fn covers_endpoint(name: &str, has_tenants: bool, other: &str) -> bool {
    let rest = other.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || has_tenants && rest.starts_with('/'))
}

/// What a worker asks of an inbox.
#[derive(Clone, Debug)]
pub struct LeaseRequest<'a> {
    worker: &'a str,
    interests: &'a [Interest],
    limit: usize,
    duration: Duration,
}

impl<'a> LeaseRequest<'a> {
    /// A request of the worker with this name for at most `limit` events that are due, each held
    /// for `duration` unless renewed.
    pub fn new(worker: &'a str, interests: &'a [Interest], limit: usize, duration: Duration) -> Self {
        Self { worker, interests, limit, duration }
    }

    /// The worker's name, for those who look at the inbox.
    pub fn worker(&self) -> &'a str {
        self.worker
    }

    /// What it can run.
    pub fn interests(&self) -> &'a [Interest] {
        self.interests
    }

    /// How many it takes at most.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// For how long each lease holds unless it is renewed.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// An event that a worker has leased.
#[derive(Clone, Debug)]
pub struct Leased {
    lease: Lease,
    entry: Entry,
    arrived: SystemTime,
    attempt: u32,
    postponed: u32,
}

impl Leased {
    /// An event with its lease, when it arrived, the number of this attempt, counted from 1, and
    /// how often it was postponed.
    pub fn new(lease: Lease, entry: Entry, arrived: SystemTime, attempt: u32, postponed: u32) -> Self {
        Self { lease, entry, arrived, attempt, postponed }
    }

    /// The right to run it.
    pub fn lease(&self) -> Lease {
        self.lease
    }

    /// What was stored.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// When it was accepted, by the inbox's clock.
    pub fn arrived(&self) -> SystemTime {
        self.arrived
    }

    /// The number of this attempt, from 1. Attempts that were given back or postponed are not
    /// counted.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// With what its handler completes the run in a transaction of its own; the event is then
    /// remembered for the retention. For workers of your own, and for tests of handlers.
    pub fn completion(&self, retention: Duration) -> Completion {
        self.completion_of(retention, false)
    }

    /// As [`Leased::completion`], and the body goes at once if so chosen.
    pub(crate) fn completion_of(&self, retention: Duration, drops_body: bool) -> Completion {
        Completion::new(self.lease.id, self.lease.token, self.entry.key(), retention, drops_body)
    }

    /// How often its handler asked to be called later.
    pub fn postponed(&self) -> u32 {
        self.postponed
    }
}
