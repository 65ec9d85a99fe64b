//! Builds a receiver. All defaults stand here, once, each with its reason.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use super::config::{ConfigError, Mode, StoreFailure};
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
/// With 1 MiB each, about 256 MiB, and somewhat more while they are being read.
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
/// As long as orchestrators wait between SIGTERM and SIGKILL by default.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

/// What longer durations are cut to, so that no deadline overflows.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// Builds a [`Receiver`].
#[must_use]
pub struct Builder {
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
    pub fn circa(secrets: impl Into<Secrets>) -> Builder {
        Builder::new(Sender::CIRCA, Some(secrets.into()))
    }

    /// Builds a receiver for Circularo's deliveries.
    pub fn circularo(secrets: impl Into<Secrets>) -> Builder {
        Builder::new(Sender::CIRCULARO, Some(secrets.into()))
    }

    /// Builds a receiver that takes Circularo's deliveries unsigned, for webhooks created without an `hmacSecret`.
    /// Dangerous: whoever knows the URL can send events.
    pub fn dangerous_circularo_unsigned() -> Builder {
        Builder::new(Sender::CIRCULARO, None)
    }
}

impl Builder {
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
    pub fn dedup(mut self, store: impl DedupStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// As [`Builder::dedup`], for a store that others hold too.
    pub fn shared_dedup(mut self, store: Arc<dyn DedupStore>) -> Self {
        self.store = Some(store);
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

    /// How many requests may be in flight; 256 by default.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests;
        self
    }

    /// How long a sender waits for its answer, from the arrival of the head; 10 s by default, below the sender's 15 s. The handler runs on beyond it.
    pub fn ack_deadline(mut self, deadline: Duration) -> Self {
        self.ack_deadline = deadline;
        self
    }

    /// How long [`Receiver::shutdown`] lets handlers run; 30 s by default.
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
        for (observer, warning) in
            self.observers.iter().flat_map(|observer| warnings.iter().map(move |warning| (observer, warning)))
        {
            observer.config_warning(&self.endpoint, *warning);
        }
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::default().clock(Arc::clone(&self.clock))));
        Ok(Receiver::from(Shared {
            verifier,
            clock: self.clock,
            endpoint: self.endpoint,
            mode: self.mode,
            max_event_age: self.max_event_age,
            body_limit: self.body_limit,
            read_deadline: self.read_deadline.min(self.ack_deadline),
            ack_deadline: self.ack_deadline,
            drain_deadline: self.drain_deadline.min(FOREVER),
            in_flight: Arc::new(Semaphore::new(self.max_in_flight.min(Semaphore::MAX_PERMITS))),
            claims: Arc::new(Claims {
                store,
                timeout: self.store_timeout,
                lease: self.lease.min(FOREVER),
                retention: self.retention.min(FOREVER),
            }),
            store_failure: self.store_failure,
            dead_letters: self.dead_letters,
            observers: self.observers,
            running: Arc::new(Running::default()),
            warnings,
        }))
    }

    fn refuse_nonsense(&self) -> Result<(), ConfigError> {
        let zero = [
            ("the body limit", self.body_limit == 0),
            ("the number of requests in flight", self.max_in_flight == 0),
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

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("sender", &self.sender)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
