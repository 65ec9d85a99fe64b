//! Receive webhooks from [Circa](https://docs.circa.ai) and
//! [Circularo](https://developers.circularo.com): no forged event gets in, none that arrived is
//! dropped, and each is handled once for as long as the dedup store remembers it.
//!
//! This crate is the core: it knows no web framework. In an application, use it through
//! `circa-receiver-axum` or `circa-receiver-actix`, or call [`Receiver::receive`] from a framework
//! of your own. The path of a delivery is the order of the modules:
//!
//! ```text
//! Head + body -> Verified -> AnyEvent -> claim -> handler -> Outcome -> Response
//! ```
//!
//! # Verify only
//!
//! ```
//! use std::time::SystemTime;
//!
//! use circa_receiver::{Secret, Verifier};
//! # use circa_receiver::testing::CircaSigner;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let body = br#"{"id":"evt_1","type":"webhook.test","livemode":false,"data":{"message":"hello"}}"#.to_vec();
//! # let signature = CircaSigner::new("whsec_test_0123456789abcdef").sign_now(&body);
//! # let headers = [("circa-signature", signature.as_bytes())];
//! let verifier = Verifier::circa(Secret::new("whsec_test_0123456789abcdef")?);
//! let event = verifier.verify(headers, body, SystemTime::now())?.event()?;
//! assert_eq!(event.id(), "evt_1");
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `receiver` | yes | the pipeline: body reading, dedup, handler tasks, the memory store (tokio) |
//! | `redis` | no | `RedisStore`: dedup in Redis, for replicas (redis; Rust 1.88) |
//! | `redis-cluster` | no | `redis`, and clusters |
//! | `redis-tls` | no | `redis`, and `rediss://` (rustls) |
//! | `postgres` | no | `PostgresStore` and `PostgresInbox`: dedup and inbox in PostgreSQL, for replicas (sqlx; Rust 1.94) |
//! | `postgres-tls` | no | `postgres`, and TLS (rustls) |
//! | `sqlite` | no | `SqliteStore` and `SqliteInbox`: dedup and inbox in a file, for one machine (rusqlite, which brings SQLite) |
//! | `http` | no | [`adapter::Head`] for the heads of the crate `http` 1, [`Response`] into its responses: for hyper, warp, poem, lambda |
//! | `serve` | no | [`serving`]: readiness, and the end of a process, for the adapters' servers (rlimit) |
//! | `tracing` | no | [`TracingObserver`], and a span for each delivery and handler |
//! | `metrics` | no | [`MetricsObserver`]: counts and measures, for whatever recorder of the crate `metrics` is installed |
//! | `testing` | no | [`testing`]: signers, fixtures, fake clocks, a request builder, simulated senders, injected faults, `assert_mounted`, [`store_tests!`], [`inbox_tests!`] |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adapter;
mod answer;
#[cfg(feature = "receiver")]
mod call_timeout;
mod clock;
#[cfg(feature = "receiver")]
mod completion;
mod error;
#[cfg(feature = "receiver")]
mod panic;
mod sender;
mod verify;

pub mod event;

#[cfg(feature = "receiver")]
pub mod dedup;
#[cfg(any(feature = "postgres", feature = "redis", feature = "sqlite"))]
mod engine;
#[cfg(feature = "receiver")]
mod handler;
#[cfg(feature = "receiver")]
pub mod inbox;
#[cfg(feature = "receiver")]
pub mod observe;
#[cfg(feature = "receiver")]
mod receiver;
#[cfg(feature = "receiver")]
mod run;
#[cfg(feature = "serve")]
pub mod serving;

#[cfg(feature = "testing")]
pub mod testing;

pub use answer::{Outcome, PayloadFault, Rejection, Response};
pub use clock::{Clock, ClockError, SystemClock};
#[cfg(feature = "receiver")]
pub use completion::{Completion, CompletionError};
pub use error::{BoxError, StoreError};
pub use event::{AnyEvent, DecodeError, Delivery, Event, EventData, EventKind};
pub use sender::{Sender, UnknownSender};
pub use verify::{Secret, SecretError, SecretId, Secrets, ToleranceError, Verified, Verifier};

/// For implementations of [`DedupStore`], [`Inbox`] and [`DeadLetterSink`].
#[cfg(feature = "receiver")]
pub use async_trait::async_trait;
#[cfg(feature = "postgres")]
pub use dedup::PostgresStore;
#[cfg(feature = "redis")]
pub use dedup::RedisStore;
#[cfg(feature = "receiver")]
pub use dedup::{DedupStore, MemoryStore};
#[cfg(feature = "sqlite")]
pub use dedup::{SqliteOpenError, SqliteStore};
#[cfg(feature = "receiver")]
pub use handler::{
    BeginsWithEvent, DeadLetter, DeadLetterSink, FromDelivery, Handler, HandlerError, PortableHandler, RouteError,
    Routes,
};
#[cfg(feature = "postgres")]
pub use inbox::PostgresInbox;
#[cfg(feature = "sqlite")]
pub use inbox::SqliteInbox;
#[cfg(feature = "receiver")]
pub use inbox::{Inbox, Worker, WorkerBuilder, WorkerError};
#[cfg(feature = "metrics")]
pub use observe::MetricsObserver;
#[cfg(feature = "tracing")]
pub use observe::TracingObserver;
#[cfg(feature = "receiver")]
pub use observe::{ConfigWarning, Diagnosis, Observer, StoreOperation};
#[cfg(feature = "receiver")]
pub use receiver::{ConfigError, Mode, Receiver, ReceiverBuilder, Receivers, SecretSource, StoreFailure, UnknownMode};
