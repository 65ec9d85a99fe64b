//! What the reference receivers share: their receivers, their signals, and what they do with an event.
//!
//! Standard output holds one JSON line for every run of a handler and nothing else; everything for people goes to standard error.
//!
//! | environment | |
//! |---|---|
//! | `CIRCA_WEBHOOK_SECRET` | the endpoint's signing secret; required |
//! | `CIRCA_WEBHOOK_SECRET_OLD` | while a secret is rotated: the old one, accepted too |
//! | `CIRCULARO_HMAC_SECRET` | the webhook's `hmacSecret`; without it Circularo is not served |
//! | `STORE_URL` | where handled events are remembered, for both senders: `memory:` (the default), `sqlite:PATH`, `redis://host:port` (several, separated by commas, are nodes of one cluster), `postgres://user:password@host:port/database`, whose table is made at the start |
//! | `LEASE_SECONDS` | how long an event is held back when a process dies while it handles it; `60` by default, and more than 10 |
//! | `BIND` | where to listen; `127.0.0.1:3000` by default |
//! | `RUST_LOG` | what is logged; `info` by default |
//!
//! `GET /healthz` answers 200 `ok`, or 503 where the dedup store cannot be used.

mod store;

// The code of README.md and docs/ is compiled and run with the doctests of this crate, the one that depends on both adapters.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/handlers.md")]
struct Handlers;

#[cfg(doctest)]
#[doc = include_str!("../../docs/stores.md")]
struct Stores;

#[cfg(doctest)]
#[doc = include_str!("../../docs/production.md")]
struct Production;

#[cfg(doctest)]
#[doc = include_str!("../../docs/answers.md")]
struct Answers;

#[cfg(doctest)]
#[doc = include_str!("../../docs/troubleshooting.md")]
struct Troubleshooting;

#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;

#[cfg(doctest)]
#[doc = include_str!("../../docs/contract.md")]
struct Contract;

use std::{
    env,
    error::Error,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use circa_receiver::{
    AnyEvent, Builder, ConfigError, Delivery, EventData, EventKind, HandlerError, Receiver, Secret, Secrets,
    TracingObserver,
    event::{
        DatapointPulled, DocumentCompleted, DocumentCreated, DocumentDeleted, DocumentEdited, DocumentEvent,
        DocumentSigned, DocumentSimpleActionExecuted, SignCancelled, SignDelegated, SignExpired, SignRejected,
        SignRequest, WebhookTest,
    },
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// What is handled of Circa's events. Other types are answered `ignored`, so that the sender stops sending them again.
pub const CIRCA_EVENTS: [&str; 2] = [DatapointPulled::TYPE, WebhookTest::TYPE];

/// What is handled of Circularo's events.
pub const CIRCULARO_EVENTS: [&str; 11] = [
    DocumentCreated::TYPE,
    DocumentEdited::TYPE,
    DocumentDeleted::TYPE,
    SignRequest::TYPE,
    SignDelegated::TYPE,
    SignRejected::TYPE,
    SignExpired::TYPE,
    SignCancelled::TYPE,
    DocumentSigned::TYPE,
    DocumentCompleted::TYPE,
    DocumentSimpleActionExecuted::TYPE,
];

/// One receiver for each sender: an endpoint belongs to one sender and has its own secret.
#[derive(Clone, Debug)]
pub struct Receivers {
    /// For `/webhooks/circa`.
    pub circa: Receiver,
    /// For `/webhooks/circularo`, where its secret is set.
    pub circularo: Option<Receiver>,
}

impl Receivers {
    /// Built from the environment.
    ///
    /// # Errors
    ///
    /// A missing or bad secret, or a store that cannot be used, with what to do.
    pub async fn from_env() -> Result<Self, BoxError> {
        let old = optional("CIRCA_WEBHOOK_SECRET_OLD")?;
        let circa = Secrets::new([Secret::from_env("CIRCA_WEBHOOK_SECRET")?].into_iter().chain(old))?;
        let circularo = optional("CIRCULARO_HMAC_SECRET")?.map(Secrets::from);
        match &circularo {
            Some(circularo) => circa.ensure_distinct(circularo)?,
            None => eprintln!("CIRCULARO_HMAC_SECRET is not set: /webhooks/circularo is not served"),
        }
        let (lease, store) = (lease()?, store::from_env().await?);
        let build = |builder: Builder| -> Result<Receiver, ConfigError> {
            let builder = builder.dedup(Arc::clone(&store)).observer(TracingObserver);
            lease.into_iter().fold(builder, Builder::lease).build()
        };
        Ok(Self {
            circa: build(Receiver::circa(circa))?,
            circularo: circularo.map(|secrets| build(Receiver::circularo(secrets))).transpose()?,
        })
    }

    /// What `/healthz` says: whether the dedup store can be used, which both receivers share.
    ///
    /// # Errors
    ///
    /// The text for a 503; why, is logged.
    pub async fn health(&self) -> Result<&'static str, &'static str> {
        self.circa.check_store().await.map(|()| "ok").map_err(|error| {
            tracing::warn!(%error, "the health check failed");
            "the dedup store does not answer"
        })
    }

    /// Stops the intake of both and waits for their handlers, up to the drain deadline.
    pub async fn shutdown(&self) {
        let circularo = async {
            if let Some(circularo) = &self.circularo {
                circularo.shutdown().await;
            }
        };
        // Told last: from then on nothing is taken in.
        tokio::join!(self.circa.shutdown(), circularo, async { eprintln!("stopping") });
    }
}

/// A variable that need not be set; one that is set to a bad secret stops the start all the same.
fn optional(variable: &str) -> Result<Option<Secret>, BoxError> {
    Ok(if env::var_os(variable).is_some() { Some(Secret::from_env(variable)?) } else { None })
}

/// Where it is not set the receiver's default holds.
fn lease() -> Result<Option<Duration>, BoxError> {
    let Some(seconds) = env::var_os("LEASE_SECONDS") else { return Ok(None) };
    match seconds.to_str().map(str::parse) {
        Some(Ok(seconds)) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err("LEASE_SECONDS was refused: it is a whole number of seconds, more than 10".into()),
    }
}

/// Logs to standard error, by `RUST_LOG`.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// Where to listen: `BIND`.
pub fn bind_address() -> String {
    env::var("BIND").unwrap_or_else(|_| "127.0.0.1:3000".to_owned())
}

/// SIGTERM and SIGINT.
#[derive(Debug)]
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on: before the first delivery, so that a signal that comes at once does not kill the process half-way.
    ///
    /// # Errors
    ///
    /// Where the system refuses.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for either.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Handles one event. Replace the body by your own work; it runs once for an event that succeeds, again for one that fails and is sent again.
///
/// It takes the event untyped, so that one whose `data` has an unexpected form is still recorded. A handler that cannot do without the data takes
/// `Event<DatapointPulled>` instead and is registered with `.on(handler)`.
///
/// # Errors
///
/// Where the event cannot be recorded; the sender sends it again.
pub fn record(delivery: &Delivery) -> Result<(), HandlerError> {
    let event = delivery.event();
    match event.kind() {
        EventKind::DatapointPulled => match event.decode::<DatapointPulled>() {
            Ok(pull) => tracing::info!(event_id = event.id(), user_id = pull.user_id(), "data pulled"),
            Err(error) => tracing::warn!(event_id = event.id(), %error, "data pulled, in a form not known"),
        },
        EventKind::WebhookTest => tracing::info!(event_id = event.id(), "the endpoint works"),
        EventKind::DocumentCompleted => match event.decode::<DocumentEvent>() {
            Ok(document) => tracing::info!(document_id = document.document_id(), "all signatures collected"),
            Err(error) => tracing::warn!(event_id = event.id(), %error, "document completed, in a form not known"),
        },
        _ => tracing::info!(event_id = event.id(), event_type = event.event_type(), "document event"),
    }
    Ok(print(delivery.endpoint(), event)?)
}

fn print(endpoint: &str, event: &AnyEvent) -> io::Result<()> {
    let [endpoint, event_type, id] = [endpoint, event.event_type(), event.id()].map(|text| serde_json::json!(text));
    let line = format!("{{\"endpoint\":{endpoint},\"type\":{event_type},\"id\":{id}}}\n");
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}
