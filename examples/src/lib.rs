//! What the reference receivers share: their receivers, their signals, and what they do with an
//! event.
//!
//! Standard output holds one JSON line for every run of a handler and nothing else; everything for
//! people goes to standard error.
//!
//! | environment | |
//! |---|---|
//! | `CIRCA_WEBHOOK_SECRET` | the endpoint's signing secret; required |
//! | `CIRCA_WEBHOOK_SECRET_OLD` | while a secret is rotated: the old one, accepted too |
//! | `CIRCULARO_HMAC_SECRET` | the webhook's `hmacSecret`; without it Circularo is not served |
//! | `CIRCULARO_HMAC_SECRET_OLD` | as Circa's |
//! | each of the four with `_FILE` behind its name | a file that holds the secret, instead; one line end behind it is taken off |
//! | `STORE_URL` | where handled events are remembered, for both senders: `memory:` (the default), `sqlite:PATH`, `redis://host:port` (several, separated by commas, are nodes of one cluster), `postgres://user:password@host:port/database`, whose table is made at the start |
//! | `INBOX` | set to anything: events are stored before they are answered, and handled afterwards; `STORE_URL` is then `sqlite:` or `postgres:`. `accept`: they are handled by the program `worker` alone |
//! | `LEASE_SECONDS` | how long an event is held back when a process dies while it handles it; `60` by default, and more than 10 |
//! | `GRACE_SECONDS` | how long connections are accepted after SIGTERM; `5` by default |
//! | `BIND` | where to listen; `127.0.0.1:3000` by default |
//! | `METRICS_BIND` | where `/metrics` is served for Prometheus, as an address and a port; nowhere by default |
//! | `H2C` | set to anything: HTTP/2 without TLS is spoken too; not in front of strangers |
//! | `RUST_LOG` | what is logged; `info` by default |
//!
//! A variable that is set to nothing is not set. SIGHUP reads the secrets again, from their files.
//!
//! `/livez` answers 200 `ok` as long as the process lives; `/readyz`, and `/healthz`, which is the
//! same, 503 where the dedup store or the inbox cannot be used and from SIGTERM on.

pub mod application;
mod environment;
mod metrics;
mod output;
pub mod random;
pub mod sources;
mod store;
pub mod storm;

// The code of README.md and docs/ is compiled and run with the doctests of this crate, the one that
// depends on both adapters.
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
#[doc = include_str!("../../docs/inbox.md")]
struct InboxPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/production.md")]
struct Production;

#[cfg(doctest)]
#[doc = include_str!("../../docs/answers.md")]
struct Answers;

#[cfg(doctest)]
#[doc = include_str!("../../docs/catalogue.md")]
struct Catalogue;

#[cfg(doctest)]
#[doc = include_str!("../../docs/troubleshooting.md")]
struct Troubleshooting;

#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;

#[cfg(doctest)]
#[doc = include_str!("../../docs/observing.md")]
struct Observing;

#[cfg(doctest)]
#[doc = include_str!("../../docs/operations.md")]
struct Operations;

#[cfg(doctest)]
#[doc = include_str!("../../docs/contract.md")]
struct Contract;

use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use circa_receiver::{
    AnyEvent, Delivery, EventKind, HandlerError, Inbox, PortableHandler, Receiver, ReceiverBuilder, Receivers, Routes,
    Sender, TracingObserver, Worker,
    event::{DatapointPulled, DocumentEvent},
};
use tokio::{
    net::{TcpListener, TcpSocket, lookup_host},
    signal::unix::{SignalKind, signal},
};

pub use environment::{bind_address, grace, h2c};
pub use output::{Log, log_to_stderr, say};

use environment::{lease, note_without_circularo};

/// How many connections may wait to be accepted. With the 128 of `TcpListener::bind`, more at once
/// would only get in with their second or third try.
const BACKLOG: u32 = 1_024;

/// How often a delivery beside the webhooks is logged: strangers can send many.
const BESIDE_EVERY: Duration = Duration::from_secs(1);

/// Any error.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// A receiver for each endpoint, built from the environment: `circa`, and `circularo` where its
/// secret is set.
///
/// # Errors
///
/// A missing or bad secret, or a store that cannot be used, with what to do.
pub async fn receivers() -> Result<Receivers, BoxError> {
    let endpoints = environment::endpoints();
    let (lease, store, metrics) = (lease()?, store::from_env().await?, metrics::from_env()?);
    let receivers = Receivers::from_env(endpoints, |builder| {
        let builder = store.give_to(builder).observer(TracingObserver);
        let builder = metrics.iter().cloned().fold(builder, ReceiverBuilder::observer);
        lease.into_iter().fold(builder, ReceiverBuilder::lease)
    })?;
    if receivers.get("circularo").is_none() {
        note_without_circularo();
    }
    Ok(receivers)
}

/// Starts what runs the events of an inbox, where there is one. It ends with the receivers.
///
/// # Errors
///
/// Where a worker cannot be built.
pub fn start_workers(receivers: &Receivers) -> Result<Vec<Worker>, BoxError> {
    let mut workers = Vec::new();
    for receiver in receivers.iter().filter(|_| store::has_worker()) {
        let routes = stored_routes(receiver.sender());
        let worker = receiver.worker(routes, ())?.build()?;
        tokio::spawn(worker.clone().run());
        workers.push(worker);
    }
    Ok(workers)
}

/// The inbox that `STORE_URL` names, for a worker.
///
/// # Errors
///
/// Where it cannot be used, with what to do.
pub async fn open_inbox() -> Result<Arc<dyn Inbox>, BoxError> {
    store::inbox_from_env().await
}

/// What a worker runs of a sender's events: those that are documented. Other types are ignored.
pub fn stored_routes(sender: Sender) -> Routes<PortableHandler<()>> {
    sender.event_types().fold(Routes::new(), |routes, event_type| routes.on_type(event_type, run_stored))
}

/// Reads the secrets again at every SIGHUP, from now on. Where they are refused the old ones stay.
///
/// # Errors
///
/// Where the system lets nobody listen for signals.
pub fn reload_on_hangup(receivers: &Receivers) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let receivers = receivers.clone();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match receivers.reload() {
                Ok(()) => tracing::info!("secrets read again"),
                Err(error) => tracing::error!(%error, "the secrets were not read again: the old ones stay"),
            }
        }
    });
    Ok(())
}

/// Where an endpoint is mounted.
pub fn path(receiver: &Receiver) -> String {
    format!("/webhooks/{}", receiver.endpoint())
}

/// Logs a POST to a path at which nothing is served, once a second at most.
pub fn beside(receivers: &Receivers, method: &str, requested: &str) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    if method != "POST" {
        return;
    }
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_some_and(|last| last.elapsed() < BESIDE_EVERY) {
        return;
    }
    *last = Some(Instant::now());
    let requested: String = requested.chars().take(64).collect();
    let served = receivers.iter().map(path).collect::<Vec<_>>().join(", ");
    tracing::warn!(path = ?requested, served, "a delivery to a path at which nothing is served");
}

/// Listens on an address, as a host and a port.
///
/// # Errors
///
/// Where that is not possible, with what to do.
pub async fn listen(bind: &str) -> Result<TcpListener, BoxError> {
    let listening = async {
        let address = lookup_host(bind).await?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As `TcpListener::bind` does: a restart must not wait until the system has forgotten the
        // former process's connections.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    let refused = |error: io::Error| format!("cannot listen on {bind}: {error}; set BIND to a free address and port");
    Ok(listening.await.map_err(refused)?)
}

/// Handles one event. Replace the body by your own work; it runs once for an event that succeeds,
/// again for one that fails and is sent again.
///
/// It takes the event untyped, so that one whose `data` has an unexpected form is still recorded. A
/// handler that cannot do without the data takes `Event<DatapointPulled>` instead and is registered
/// with `.on(handler)`.
///
/// # Errors
///
/// Where the event cannot be recorded; the sender sends it again.
pub async fn record(delivery: &Delivery) -> Result<(), HandlerError> {
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
    Ok(print(delivery.endpoint(), event).await?)
}

/// Handles an event of an inbox: a portable handler, which runs in both frameworks.
async fn run_stored(delivery: Delivery, (): ()) -> Result<(), HandlerError> {
    record(&delivery).await
}

async fn print(endpoint: &str, event: &AnyEvent) -> io::Result<()> {
    let [endpoint, event_type, id] = [endpoint, event.event_type(), event.id()].map(|text| serde_json::json!(text));
    output::print(format!("{{\"endpoint\":{endpoint},\"type\":{event_type},\"id\":{id}}}\n")).await
}
