//! The settings of a receiver.

use std::{fmt, sync::Arc, time::Duration};

use super::config::{Mode, StoreFailure};
use super::defaults;
use super::receive::Receiver;
use super::tenants::SecretSource;
use crate::clock::{Clock, SystemClock};
use crate::dedup::DedupStore;
use crate::handler::DeadLetterSink;
use crate::inbox::Inbox;
use crate::observe::{Observer, Origin};
use crate::sender::Sender;
use crate::verify::Secrets;

/// Builds a [`Receiver`].
#[must_use]
pub struct ReceiverBuilder {
    pub(super) sender: Sender,
    /// `None` for an unsigned receiver, and for one of several tenants.
    pub(super) secrets: Option<Secrets>,
    /// Of several tenants.
    pub(super) source: Option<Arc<dyn SecretSource>>,
    pub(super) tolerance: Option<Tolerance>,
    pub(super) max_event_age: Option<Duration>,
    pub(super) mode: Mode,
    pub(super) endpoint: Arc<str>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) store: Option<Arc<dyn DedupStore>>,
    pub(super) inbox: Option<Arc<dyn Inbox>>,
    pub(super) answer_when_handled: bool,
    pub(super) store_failure: StoreFailure,
    pub(super) store_timeout: Duration,
    pub(super) lease: Duration,
    pub(super) retention: Duration,
    pub(super) body_limit: usize,
    pub(super) read_deadline: Duration,
    pub(super) max_in_flight: usize,
    pub(super) ack_deadline: Duration,
    pub(super) drain_deadline: Duration,
    pub(super) max_readers: usize,
    pub(super) max_reader_bytes: usize,
    pub(super) max_running: usize,
    pub(super) run_timeout: Duration,
    pub(super) dead_letters: Option<Arc<dyn DeadLetterSink>>,
    pub(super) observers: Vec<Arc<dyn Observer>>,
    /// Not accepted: only to explain mismatches.
    pub(super) known_secrets: Vec<(Origin, Secrets)>,
}

#[derive(Clone, Copy)]
pub(super) enum Tolerance {
    Checked(Duration),
    Dangerous(Option<Duration>),
}

impl Receiver {
    /// Builds a receiver for Circa's deliveries.
    pub fn circa(secrets: impl Into<Secrets>) -> ReceiverBuilder {
        ReceiverBuilder::new(Sender::CIRCA, Some(secrets.into()))
    }

    /// Builds a receiver for Circa's deliveries to several tenants, each with secrets of its own,
    /// behind one route with a segment `{tenant}`: `/webhooks/circa/{tenant}`.
    ///
    /// The tenant is part of the endpoint's name (`"circa/acme"`), and so of every dedup key;
    /// handlers get it by [`Delivery::tenant`](crate::Delivery::tenant). An unknown tenant is
    /// answered as a wrong signature is. How often the source is asked: [`SecretSource`].
    pub fn circa_for(source: impl SecretSource) -> ReceiverBuilder {
        ReceiverBuilder { source: Some(Arc::new(source)), ..ReceiverBuilder::new(Sender::CIRCA, None) }
    }

    /// Builds a receiver for Circularo's deliveries. They have no id: identical bytes are one
    /// event, for as long as it is remembered (1 h by default, see [`ReceiverBuilder::retention`]).
    pub fn circularo(secrets: impl Into<Secrets>) -> ReceiverBuilder {
        ReceiverBuilder::new(Sender::CIRCULARO, Some(secrets.into()))
    }

    /// Builds a receiver that takes Circularo's deliveries unsigned, for webhooks created without
    /// an `hmacSecret`. Dangerous: whoever knows the URL can send events.
    pub fn dangerous_circularo_unsigned() -> ReceiverBuilder {
        ReceiverBuilder::new(Sender::CIRCULARO, None)
    }
}

impl ReceiverBuilder {
    pub(crate) fn new(sender: Sender, secrets: Option<Secrets>) -> Self {
        Self {
            sender,
            secrets,
            source: None,
            tolerance: None,
            max_event_age: None,
            mode: Mode::default(),
            endpoint: sender.name().into(),
            clock: Arc::new(SystemClock),
            store: None,
            inbox: None,
            answer_when_handled: false,
            store_failure: StoreFailure::default(),
            store_timeout: defaults::STORE_TIMEOUT,
            lease: defaults::LEASE,
            retention: defaults::retention(sender),
            body_limit: defaults::BODY_LIMIT,
            read_deadline: defaults::READ_DEADLINE,
            max_in_flight: defaults::MAX_IN_FLIGHT,
            ack_deadline: defaults::ACK_DEADLINE,
            drain_deadline: defaults::DRAIN_DEADLINE,
            max_readers: defaults::MAX_READERS,
            max_reader_bytes: defaults::MAX_READER_BYTES,
            max_running: defaults::MAX_RUNNING,
            run_timeout: defaults::RUN_TIMEOUT,
            dead_letters: None,
            observers: Vec::new(),
            known_secrets: Vec::new(),
        }
    }

    /// Circa only: how far the signed time may be from now, both ends inclusive; whole seconds, 300
    /// by default (Circa documentation, Webhooks), at most 3,600. 0 means the same second.
    pub fn tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = Some(Tolerance::Checked(tolerance));
        self
    }

    /// Circa only: any tolerance, or none at all. Dangerous: a captured delivery can be replayed
    /// for as long, once its event is forgotten.
    pub fn dangerous_tolerance(mut self, tolerance: Option<Duration>) -> Self {
        self.tolerance = Some(Tolerance::Dangerous(tolerance));
        self
    }

    /// Circularo only: the oldest event that is taken, by the body's `timestamp`. Off by default,
    /// since Circularo documents no form for it. An older event is refused as
    /// [`Rejection::Stale`](crate::Rejection::Stale), one whose timestamp is missing or not
    /// understood as malformed.
    pub fn max_event_age(mut self, age: Duration) -> Self {
        self.max_event_age = Some(age);
        self
    }

    /// Circa only: which events are wanted, by `livemode`. [`Mode::Any`] by default.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The endpoint's name, part of every dedup key, in logs and metrics; the sender's name by
    /// default. Give two endpoints of one sender two names.
    pub fn endpoint(mut self, name: &str) -> Self {
        self.endpoint = name.into();
        self
    }

    /// The clock; [`SystemClock`] by default. Also that of the default store.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where claims are kept; a [`MemoryStore`](crate::MemoryStore) by default.
    ///
    /// To share a store with other receivers, give each an `Arc` of it.
    pub fn dedup(mut self, store: impl DedupStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Stores events in an inbox, in place of running them: each is answered 202 once it is
    /// durable, and a worker of [`Receiver::worker`] or of another process runs it. The inbox
    /// remembers what was handled, and keeps the dead letters.
    ///
    /// To share an inbox with other receivers and workers, give each an `Arc` of it.
    pub fn inbox(mut self, inbox: impl Inbox) -> Self {
        self.inbox = Some(Arc::new(inbox));
        self
    }

    /// With an inbox: a new delivery waits for the run of its event by this receiver's worker, at
    /// most until the ack deadline, and is answered 200 where that has succeeded; otherwise 202,
    /// since the event is safe. Off by default.
    pub fn answer_when_handled(mut self) -> Self {
        self.answer_when_handled = true;
        self
    }

    /// What happens when the dedup store fails; [`StoreFailure::Refuse`] by default.
    pub fn on_store_failure(mut self, policy: StoreFailure) -> Self {
        self.store_failure = policy;
        self
    }

    /// How long the dedup store or the inbox may take for one call; 2 s by default.
    pub fn store_timeout(mut self, timeout: Duration) -> Self {
        self.store_timeout = timeout;
        self
    }

    /// How long a claim holds after its process died; 60 s by default. It is renewed at a third
    /// while the handler runs.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a handled event is remembered; 72 h by default for Circa: keep it above its retry
    /// span of 112,350 s. For Circularo 1 h: events are known by their bytes, so that a genuine
    /// event with the bytes of one that is remembered, such as a second edit without a timestamp,
    /// is answered as its duplicate.
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The largest body, in bytes; 1 MiB by default.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How long the whole body may take, from the arrival of the head; 10 s by default, and never
    /// longer than the ack deadline.
    pub fn read_deadline(mut self, deadline: Duration) -> Self {
        self.read_deadline = deadline;
        self
    }

    /// How many authentic deliveries may be in flight; 256 by default. Beyond it they are answered
    /// 503. Deliveries that only wait for another run of their event keep at most a quarter of the
    /// places.
    pub fn max_in_flight(mut self, deliveries: usize) -> Self {
        self.max_in_flight = deliveries;
        self
    }

    /// How many bodies may be waited for at once; 4,096 by default. Beyond it the one that has been
    /// waited for longest is given up with a 503. As many look-ups of a [`SecretSource`] may run.
    ///
    /// [`SecretSource`]: crate::SecretSource
    pub fn max_readers(mut self, bodies: usize) -> Self {
        self.max_readers = bodies;
        self
    }

    /// How much memory bodies may take together while they are waited for, in bytes; 128 MiB by
    /// default. Beyond it the one that has been waited for longest is given up with a 503.
    pub fn max_reader_bytes(mut self, bytes: usize) -> Self {
        self.max_reader_bytes = bytes;
        self
    }

    /// How many handlers may run at once, also beyond the answers of their deliveries; 512 by
    /// default. Further deliveries are answered 503, before their claim.
    pub fn max_running(mut self, handlers: usize) -> Self {
        self.max_running = handlers;
        self
    }

    /// How long a handler may run; 15 minutes by default. Then it is dropped, its claim released,
    /// and the run has failed.
    pub fn run_timeout(mut self, timeout: Duration) -> Self {
        self.run_timeout = timeout;
        self
    }

    /// How long a sender waits for its answer, from the arrival of the head; 10 s by default, below
    /// the sender's 15 s. The handler runs on beyond it.
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

    /// Where events go that can never be handled. None by default: they are then answered 500, so
    /// that the sender's retries keep them alive.
    pub fn dead_letters(mut self, sink: impl DeadLetterSink) -> Self {
        self.dead_letters = Some(Arc::new(sink));
        self
    }

    /// Adds an observer; several may watch.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Secrets that are known and not accepted: where a delivery is signed with one of them,
    /// [`Observer::diagnosed`] says whose it is. Secrets that [`Receiver::replace_secrets`]
    /// replaces are known by themselves.
    pub fn known_secrets(mut self, origin: Origin, secrets: impl Into<Secrets>) -> Self {
        self.known_secrets.push((origin, secrets.into()));
        self
    }
}

impl fmt::Debug for ReceiverBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiverBuilder")
            .field("sender", &self.sender)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
