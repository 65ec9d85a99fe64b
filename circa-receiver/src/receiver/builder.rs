//! Builds a receiver. All defaults stand here, once, each with its reason.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::config::{ConfigError, Mode, StoreFailure};
use super::keeper::Keeper;
use super::notices::Notices;
use super::readers::Readers;
use super::receive::Receiver;
use super::running::Running;
use super::shared::Shared;
use crate::clock::{Clock, SystemClock};
use crate::dedup::{Claims, DedupStore, MemoryStore};
use crate::handler::DeadLetterSink;
use crate::observe::ConfigWarning;
use crate::observe::Observer;
use crate::sender::Sender;
use crate::verify::Secrets;
use crate::verify::Verifier;

/// An endpoint's event is near 40 KB at most (Circa documentation: lists hold at most 500 ids); 1 MiB leaves room, and bounds what a stranger can make us hold.
const BODY_LIMIT: usize = 1_024 * 1_024;
/// As the ack deadline: a body that takes longer could not be answered in time any more.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// With 1 MiB each, at most 256 MiB.
const MAX_IN_FLIGHT: usize = 256;
/// Circa gives up at 15 s (Circa documentation, Webhooks); 5 s are left for the answer's way.
const ACK_DEADLINE: Duration = Duration::from_secs(10);
/// When the sender gives up: 15 s (Circa documentation, Webhooks).
const SENDER_TIMEOUT: Duration = Duration::from_secs(15);
/// Four times the longest time that a handler's answer is waited for; renewed at a third.
const LEASE: Duration = Duration::from_secs(60);
/// Circa's retries span 31 h 12 m 30 s (Circa documentation, Webhooks); 72 h cover them twice, and a weekend.
const RETENTION: Duration = Duration::from_secs(72 * 3_600);
/// Five times a bad day of a store in the same network, and well within the ack deadline.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// Below the 30 s that orchestrators wait between SIGTERM and SIGKILL by default, with room for a hard end.
const DRAIN_DEADLINE: Duration = Duration::from_secs(20);
/// How many bodies are waited for at once; each costs a few kilobytes beside its bytes.
const MAX_READERS: usize = 4_096;
/// The memory that bodies take together while they are waited for.
const MAX_READER_BYTES: usize = 128 * 1_024 * 1_024;
/// Twice the deliveries in flight: handlers that run on beyond their answer hold no place any more.
const MAX_RUNNING: usize = 512;
/// A handler that runs longer is taken to hang.
const RUN_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// Of the places in flight, deliveries that only wait for another run of their event keep at most this share: a quarter.
const WAITING_SHARE: usize = 4;

/// What longer durations are cut to, so that no deadline overflows.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Builds a [`Receiver`].
#[must_use]
pub struct ReceiverBuilder {
    sender: Sender,
    /// `None` for an unsigned receiver.
    secrets: Option<Secrets>,
    tolerance: Option<Tolerance>,
    max_event_age: Option<Duration>,
    mode: Mode,
    endpoint: Arc<str>,
    clock: Arc<dyn Clock>,
    store: Option<Arc<dyn DedupStore>>,
    store_failure: StoreFailure,
    store_timeout: Duration,
    lease: Duration,
    retention: Duration,
    body_limit: usize,
    read_deadline: Duration,
    max_in_flight: usize,
    ack_deadline: Duration,
    drain_deadline: Duration,
    max_readers: usize,
    max_reader_bytes: usize,
    max_running: usize,
    run_timeout: Duration,
    dead_letters: Option<Arc<dyn DeadLetterSink>>,
    observers: Vec<Arc<dyn Observer>>,
}

#[derive(Clone, Copy)]
enum Tolerance {
    Checked(Duration),
    Dangerous(Option<Duration>),
}

impl Receiver {
    /// Builds a receiver for Circa's deliveries.
    pub fn circa(secrets: impl Into<Secrets>) -> ReceiverBuilder {
        ReceiverBuilder::new(Sender::CIRCA, Some(secrets.into()))
    }

    /// Builds a receiver for Circularo's deliveries.
    pub fn circularo(secrets: impl Into<Secrets>) -> ReceiverBuilder {
        ReceiverBuilder::new(Sender::CIRCULARO, Some(secrets.into()))
    }

    /// Builds a receiver that takes Circularo's deliveries unsigned, for webhooks created without an `hmacSecret`.
    /// Dangerous: whoever knows the URL can send events.
    pub fn dangerous_circularo_unsigned() -> ReceiverBuilder {
        ReceiverBuilder::new(Sender::CIRCULARO, None)
    }
}

impl ReceiverBuilder {
    pub(crate) fn new(sender: Sender, secrets: Option<Secrets>) -> Self {
        Self {
            sender,
            secrets,
            tolerance: None,
            max_event_age: None,
            mode: Mode::default(),
            endpoint: sender.name().into(),
            clock: Arc::new(SystemClock),
            store: None,
            store_failure: StoreFailure::default(),
            store_timeout: STORE_TIMEOUT,
            lease: LEASE,
            retention: RETENTION,
            body_limit: BODY_LIMIT,
            read_deadline: READ_DEADLINE,
            max_in_flight: MAX_IN_FLIGHT,
            ack_deadline: ACK_DEADLINE,
            drain_deadline: DRAIN_DEADLINE,
            max_readers: MAX_READERS,
            max_reader_bytes: MAX_READER_BYTES,
            max_running: MAX_RUNNING,
            run_timeout: RUN_TIMEOUT,
            dead_letters: None,
            observers: Vec::new(),
        }
    }

    /// Circa only: how far the signed time may be from now, both ends inclusive; whole seconds, 300 by default (Circa documentation, Webhooks), at
    /// most 3,600. 0 means the same second.
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = Some(Tolerance::Checked(tolerance));
        self
    }

    /// Circa only: any tolerance, or none at all. Dangerous: a captured delivery can be replayed for as long, once its event is forgotten.
    pub fn dangerous_tolerance(mut self, tolerance: Option<Duration>) -> Self {
        self.tolerance = Some(Tolerance::Dangerous(tolerance));
        self
    }

    /// Circularo only: the oldest event that is taken, by the body's `timestamp`. Off by default, since Circularo documents no form for it. An older
    /// event is refused as [`Rejection::Stale`](crate::Rejection::Stale), one whose timestamp is missing or not understood as malformed.
    pub fn max_event_age(mut self, age: Duration) -> Self {
        self.max_event_age = Some(age);
        self
    }

    /// Circa only: which events are wanted, by `livemode`. [`Mode::Any`] by default.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The endpoint's name, part of every dedup key, in logs and metrics; the sender's name by default. Give two endpoints of one sender two names.
    pub fn endpoint(mut self, name: &str) -> Self {
        self.endpoint = name.into();
        self
    }

    /// The clock; [`SystemClock`] by default. Also that of the default store.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where claims are kept; a [`MemoryStore`] by default.
    ///
    /// To share a store with other receivers, give each an `Arc` of it.
    pub fn dedup(mut self, store: impl DedupStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// What happens when the dedup store fails; [`StoreFailure::Refuse`] by default.
    pub fn on_store_failure(mut self, policy: StoreFailure) -> Self {
        self.store_failure = policy;
        self
    }

    /// How long the dedup store may take for one call; 2 s by default.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// How long a claim holds after its process died; 60 s by default. It is renewed at a third while the handler runs.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a handled event is remembered; 72 h by default. Keep it above the sender's retry span: 112,350 s for Circa.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The largest body, in bytes; 1 MiB by default.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How long the whole body may take, from the arrival of the head; 10 s by default, and never longer than the ack deadline.
    pub fn read_deadline(mut self, deadline: Duration) -> Self {
        self.read_deadline = deadline;
        self
    }

    /// How many authentic deliveries may be in flight; 256 by default. Beyond it they are answered 503. Deliveries that only
    /// wait for another run of their event keep at most a quarter of the places.
    pub fn max_in_flight(mut self, deliveries: usize) -> Self {
        self.max_in_flight = deliveries;
        self
    }

    /// How many bodies may be waited for at once; 4,096 by default. Beyond it the one that has been waited for longest is
    /// given up with a 503.
    pub fn max_readers(mut self, bodies: usize) -> Self {
        self.max_readers = bodies;
        self
    }

    /// How much memory bodies may take together while they are waited for, in bytes; 128 MiB by default. Beyond it the one
    /// that has been waited for longest is given up with a 503.
    pub fn max_reader_bytes(mut self, bytes: usize) -> Self {
        self.max_reader_bytes = bytes;
        self
    }

    /// How many handlers may run at once, also beyond the answers of their deliveries; 512 by default. Further deliveries
    /// are answered 503, before their claim.
    pub fn max_running(mut self, handlers: usize) -> Self {
        self.max_running = handlers;
        self
    }

    /// How long a handler may run; 15 minutes by default. Then it is dropped, its claim released, and the run has failed.
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.run_timeout = timeout;
        self
    }

    /// How long a sender waits for its answer, from the arrival of the head; 10 s by default, below the sender's 15 s. The handler runs on beyond it.
    pub fn ack_deadline(mut self, deadline: Duration) -> Self {
        self.ack_deadline = deadline;
        self
    }

    /// How long [`Receiver::shutdown`] lets handlers run; 20 s by default. It always ends: at most
    /// 3 s later, whatever handlers and store do.
    pub fn drain_deadline(mut self, deadline: Duration) -> Self {
        self.drain_deadline = deadline;
        self
    }

    /// Where events go that can never be handled. None by default: they are then answered 500, so that the sender's retries keep them alive.
    pub fn dead_letters(mut self, sink: impl DeadLetterSink) -> Self {
        self.dead_letters = Some(Arc::new(sink));
        self
    }

    /// Adds an observer; several may watch.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Builds the receiver.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for settings that cannot be right, with what to do.
    pub fn build(self) -> Result<Receiver, ConfigError> {
        self.refuse_nonsense()?;
        let verifier = self.verifier()?;
        let warnings = self.warnings();
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::default().clock(Arc::clone(&self.clock))));
        let shared = Shared {
            verifier,
            clock: self.clock,
            endpoint: self.endpoint,
            mode: self.mode,
            max_event_age: self.max_event_age,
            body_limit: self.body_limit,
            read_deadline: self.read_deadline.min(self.ack_deadline),
            ack_deadline: self.ack_deadline,
            drain_deadline: self.drain_deadline.min(FOREVER),
            places: permits(self.max_in_flight),
            wait_permits: permits((self.max_in_flight / WAITING_SHARE).max(1)),
            run_permits: permits(self.max_running),
            run_timeout: self.run_timeout.min(FOREVER),
            readers: Arc::new(Readers::new(self.max_readers, self.max_reader_bytes)),
            claims: Arc::new(Claims::new(
                store,
                self.store_timeout,
                self.lease.min(FOREVER),
                self.retention.min(FOREVER),
            )),
            keeper: Keeper::new(),
            store_failure: self.store_failure,
            dead_letters: self.dead_letters,
            observers: self.observers,
            observer_panics: AtomicU64::new(0),
            notices: Notices::default(),
            running: Arc::new(Running::default()),
            warnings,
        };
        for warning in &shared.warnings {
            shared.observe(|observer| observer.config_warning(&shared.endpoint, *warning));
        }
        Ok(Receiver::from(shared))
    }

    fn refuse_nonsense(&self) -> Result<(), ConfigError> {
        let zero = [
            ("the body limit", self.body_limit == 0),
            ("the number of deliveries in flight", self.max_in_flight == 0),
            ("the number of bodies that are waited for", self.max_readers == 0),
            ("the memory of bodies that are waited for", self.max_reader_bytes == 0),
            ("the number of running handlers", self.max_running == 0),
            ("the time limit of a run", self.run_timeout.is_zero()),
            ("the read deadline", self.read_deadline.is_zero()),
            ("the ack deadline", self.ack_deadline.is_zero()),
            ("the store timeout", self.store_timeout.is_zero()),
            ("the retention", self.retention.is_zero()),
        ];
        if let Some((what, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(ConfigError::Zero(what));
        }
        if self.ack_deadline >= SENDER_TIMEOUT {
            return Err(ConfigError::AckDeadline);
        }
        if self.lease <= self.ack_deadline {
            return Err(ConfigError::Lease);
        }
        if self.lease < 3 * self.store_timeout.min(FOREVER) {
            return Err(ConfigError::LeaseBelowStoreTimeout);
        }
        if self.endpoint.is_empty() {
            return Err(ConfigError::Endpoint);
        }
        if self.sender == Sender::CIRCULARO {
            if self.tolerance.is_some() {
                return Err(ConfigError::NoSignedTime);
            }
            if self.mode != Mode::Any {
                return Err(ConfigError::NoLivemode);
            }
        } else if self.max_event_age.is_some() {
            return Err(ConfigError::SignedTime);
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<ConfigWarning> {
        let retry_span = Duration::from_secs(self.sender.spec().retry_span_seconds);
        if self.retention < retry_span { vec![ConfigWarning::RetentionBelowRetrySpan] } else { Vec::new() }
    }

    fn verifier(&self) -> Result<Verifier, ConfigError> {
        let Some(secrets) = self.secrets.clone() else { return Ok(Verifier::dangerous_circularo_unsigned()) };
        let verifier = Verifier::new(self.sender, &secrets);
        Ok(match self.tolerance {
            None => verifier,
            Some(Tolerance::Checked(tolerance)) => verifier.tolerance(tolerance)?,
            Some(Tolerance::Dangerous(tolerance)) => verifier.dangerous_tolerance(tolerance),
        })
    }
}

fn permits(count: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
}

impl std::fmt::Debug for ReceiverBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReceiverBuilder")
            .field("sender", &self.sender)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
