//! The reference receiver, to start from: both senders, secret rotation, logs, and a shutdown that loses nothing.
//!
//! Standard output holds one JSON line for every run of a handler and nothing else; everything for people goes to standard error.
//!
//! | environment | |
//! |---|---|
//! | `CIRCA_WEBHOOK_SECRET` | the endpoint's signing secret; required |
//! | `CIRCA_WEBHOOK_SECRET_OLD` | while a secret is rotated: the old one, accepted too |
//! | `CIRCULARO_HMAC_SECRET` | the webhook's `hmacSecret`; without it Circularo is not served |
//! | `BIND` | where to listen; `127.0.0.1:3000` by default |
//! | `RUST_LOG` | what is logged; `info` of the receiver by default |

use std::{
    env,
    error::Error,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use axum::{
    Router,
    http::StatusCode,
    routing::{MethodRouter, get},
};
use circa_receiver::{Event, EventKind, TracingObserver};
use circa_receiver_axum::{
    AnyEvent, EventData, RawDelivery, Receiver, Secret, Secrets,
    event::{
        DatapointPulled, DocumentCompleted, DocumentCreated, DocumentDeleted, DocumentEdited, DocumentSigned,
        DocumentSimpleActionExecuted, SignCancelled, SignDelegated, SignExpired, SignRejected, SignRequest,
        WebhookTest,
    },
    webhook,
};
use tokio::{
    net::{TcpListener, TcpSocket, lookup_host},
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    time::timeout,
};
use tracing_subscriber::EnvFilter;

type BoxError = Box<dyn Error + Send + Sync>;

/// What is handled. Other types are answered `ignored`, so that the sender stops sending them again.
const CIRCA_EVENTS: [&str; 2] = [DatapointPulled::TYPE, WebhookTest::TYPE];
const CIRCULARO_EVENTS: [&str; 11] = [
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

/// How many connections may wait to be accepted. With the 128 of `TcpListener::bind`, more at once would only get in with their second or third try.
const BACKLOG: u32 = 1_024;

/// How long connections may stay open once the process was told to stop: as long as handlers may, which is the receiver's default.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("circa_receiver=info,axum_receiver=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum-receiver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let Receivers { circa, circularo } = Receivers::from_env()?;
    let mut app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/webhooks/circa", route(circa.clone(), &CIRCA_EVENTS));
    match &circularo {
        Some(circularo) => app = app.route("/webhooks/circularo", route(circularo.clone(), &CIRCULARO_EVENTS)),
        None => eprintln!("CIRCULARO_HMAC_SECRET is not set: /webhooks/circularo is not served"),
    }

    // Before the first delivery can arrive: a signal that comes at once must not kill the process half-way.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let bind = env::var("BIND").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = listen(&bind)
        .await
        .map_err(|error| format!("cannot listen on {bind}: {error}; set BIND to a free address and port"))?;
    eprintln!("listening on {}", listener.local_addr()?);

    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let server = tokio::spawn(async move { server.await });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }

    // The receivers refuse with 503 what still arrives on open connections, and let running handlers end. A connection that never ends its request
    // is not waited for any longer than that.
    eprintln!("stopping");
    let _ = stop.send(());
    let circularo_drained = async {
        if let Some(circularo) = &circularo {
            circularo.shutdown().await;
        }
    };
    let (served, (), ()) = tokio::join!(timeout(DRAIN_DEADLINE, server), circa.shutdown(), circularo_drained);
    match served {
        Ok(ended) => Ok(ended??),
        Err(_) => {
            eprintln!("stopped with connections still open");
            Ok(())
        }
    }
}

async fn listen(bind: &str) -> io::Result<TcpListener> {
    let address = lookup_host(bind).await?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As `TcpListener::bind` does: a restart must not wait until the system has forgotten the former process's connections.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// One receiver for each sender: an endpoint belongs to one sender and has its own secret.
struct Receivers {
    circa: Receiver,
    circularo: Option<Receiver>,
}

impl Receivers {
    fn from_env() -> Result<Self, BoxError> {
        let old = optional("CIRCA_WEBHOOK_SECRET_OLD")?;
        let circa = Secrets::new([Secret::from_env("CIRCA_WEBHOOK_SECRET")?].into_iter().chain(old))?;
        let circularo = optional("CIRCULARO_HMAC_SECRET")?.map(Secrets::from);
        if let Some(circularo) = &circularo {
            circa.ensure_distinct(circularo)?;
        }
        Ok(Self {
            circa: Receiver::circa(circa).observer(TracingObserver).build()?,
            circularo: circularo
                .map(|secrets| Receiver::circularo(secrets).observer(TracingObserver).build())
                .transpose()?,
        })
    }
}

/// A variable that need not be set; one that is set to a bad secret stops the start all the same.
fn optional(variable: &str) -> Result<Option<Secret>, BoxError> {
    Ok(if env::var_os(variable).is_some() { Some(Secret::from_env(variable)?) } else { None })
}

fn route(receiver: Receiver, event_types: &[&str]) -> MethodRouter {
    event_types.iter().fold(webhook(receiver), |webhook, event_type| webhook.on_type(event_type, handle)).into_route()
}

/// Handles one event. Replace the body by your own work; it runs once for an event that succeeds, again for one that fails and is sent again.
///
/// It takes the event untyped, so that one whose `data` has an unexpected form is still recorded. A handler that cannot do without the data takes
/// `Event<DatapointPulled>` instead and is registered with `.on(handler)`.
async fn handle(event: AnyEvent, delivery: RawDelivery) -> StatusCode {
    match event.kind() {
        EventKind::DatapointPulled => match event.decode::<DatapointPulled>() {
            Ok(pull) => tracing::info!(event_id = event.id(), user_id = pull.user_id(), "data pulled"),
            Err(error) => tracing::warn!(event_id = event.id(), %error, "data pulled, in a form not known"),
        },
        EventKind::WebhookTest => tracing::info!(event_id = event.id(), "the endpoint works"),
        EventKind::DocumentCompleted => match Event::<DocumentCompleted>::try_from(event.0.clone()) {
            Ok(event) => tracing::info!(document_id = event.data().document_id(), "all signatures collected"),
            Err(error) => tracing::warn!(event_id = event.id(), %error, "document completed, in a form not known"),
        },
        _ => tracing::info!(event_id = event.id(), event_type = event.event_type(), "document event"),
    }
    match print(delivery.endpoint(), &event) {
        Ok(()) => StatusCode::NO_CONTENT,
        // The event is not recorded: 5xx releases it, and the sender sends it again.
        Err(error) => {
            tracing::error!(event_id = event.id(), %error, "cannot write to standard output");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

fn print(endpoint: &str, event: &AnyEvent) -> io::Result<()> {
    let [endpoint, event_type, id] = [endpoint, event.event_type(), event.id()].map(|text| serde_json::json!(text));
    let line = format!("{{\"endpoint\":{endpoint},\"type\":{event_type},\"id\":{id}}}\n");
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}
