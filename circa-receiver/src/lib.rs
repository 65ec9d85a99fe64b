//! Receive webhooks from [Circa](https://docs.circa.ai) and [Circularo](https://developers.circularo.com):
//! no forged event gets in, none that arrived is dropped, and each is handled once for as long as the dedup store remembers it.
//!
//! This crate is the core: it knows no web framework. In an application, use it through `circa-receiver-axum` or `circa-receiver-actix`, or call
//! [`Receiver::receive`] from a framework of your own. The path of a delivery is the order of the modules:
//!
//! ```text
//! Head + body -> Verified -> AnyEvent -> claim -> handler -> Outcome -> Response
//! ```
//!
//! # Verify only
//!
//! ```
//! use circa_receiver::{Secret, Verifier};
//! # use circa_receiver::testing::CircaSigner;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let body = br#"{"id":"evt_1","type":"webhook.test","livemode":false,"data":{"message":"hello"}}"#.to_vec();
//! # let signature = CircaSigner::new("whsec_test_0123456789abcdef").sign(1747000800, &body);
//! # let headers = [("circa-signature", signature.as_bytes())];
//! # let now = 1747000800;
//! let verifier = Verifier::circa(Secret::new("whsec_test_0123456789abcdef")?);
//! let event = verifier.verify(headers, body, now)?.event()?;
//! assert_eq!(event.id(), "evt_1");
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `receiver` | yes | the pipeline: body reading, dedup, handler tasks, the memory store (tokio, moka) |
//! | `redis` | no | `RedisStore`: dedup in Redis, for replicas (redis; Rust 1.88) |
//! | `redis-cluster` | no | `redis`, and clusters |
//! | `redis-tls` | no | `redis`, and `rediss://` (rustls) |
//! | `postgres` | no | `PostgresStore`: dedup in PostgreSQL, for replicas (sqlx; Rust 1.94) |
//! | `postgres-tls` | no | `postgres`, and TLS (rustls) |
//! | `sqlite` | no | `SqliteStore`: dedup in a file, for one machine (rusqlite, which brings SQLite) |
//! | `tracing` | no | [`TracingObserver`] |
//! | `testing` | no | [`testing`]: signers, fixtures, fake clocks, a request builder, simulated senders, `assert_mounted`, [`store_tests!`] |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod clock;
mod error;
mod head;
mod hex;
mod rejection;
mod secret;
mod sender;
mod signature;
mod verified;
mod verifier;

pub mod event;

#[cfg(feature = "receiver")]
mod admit;
#[cfg(feature = "receiver")]
mod body;
#[cfg(feature = "receiver")]
mod builder;
#[cfg(feature = "receiver")]
mod config;
#[cfg(feature = "receiver")]
pub mod dedup;
#[cfg(feature = "receiver")]
mod delivery;
#[cfg(feature = "receiver")]
mod extract;
#[cfg(feature = "receiver")]
mod handler;
#[cfg(feature = "receiver")]
mod observe;
#[cfg(feature = "receiver")]
mod outcome;
#[cfg(feature = "receiver")]
mod receiver;
#[cfg(feature = "receiver")]
mod routes;
#[cfg(feature = "receiver")]
mod running;
#[cfg(feature = "receiver")]
mod shared;
#[cfg(feature = "receiver")]
mod task;
#[cfg(feature = "receiver")]
mod warning;

#[cfg(feature = "testing")]
pub mod testing;

pub use clock::{Clock, ClockError, SystemClock};
pub use error::{BoxError, StoreError};
pub use event::{AnyEvent, DecodeError, Event, EventData, EventKind};
pub use head::Head;
pub use rejection::Rejection;
pub use secret::{Secret, SecretError, SecretId, Secrets};
pub use sender::Sender;
pub use verified::Verified;
pub use verifier::{ToleranceError, Verifier};

/// For implementations of [`DedupStore`] and [`DeadLetterSink`].
#[cfg(feature = "receiver")]
pub use async_trait::async_trait;
#[cfg(feature = "receiver")]
pub use builder::Builder;
#[cfg(feature = "receiver")]
pub use config::{ConfigError, Mode, StoreFailure};
#[cfg(feature = "postgres")]
pub use dedup::PostgresStore;
#[cfg(feature = "redis")]
pub use dedup::RedisStore;
#[cfg(feature = "receiver")]
pub use dedup::{CompactMemoryStore, DedupStore, MemoryStore};
#[cfg(feature = "sqlite")]
pub use dedup::{SqliteOpenError, SqliteStore};
#[cfg(feature = "receiver")]
pub use delivery::Delivery;
#[cfg(feature = "receiver")]
pub use extract::ExtractError;
#[cfg(feature = "receiver")]
pub use handler::{DeadLetter, DeadLetterSink, Handler, HandlerError, PortableHandler};
#[cfg(all(feature = "receiver", feature = "tracing"))]
pub use observe::TracingObserver;
#[cfg(feature = "receiver")]
pub use observe::{Observer, StoreOperation};
#[cfg(feature = "receiver")]
pub use outcome::{Outcome, Response};
#[cfg(feature = "receiver")]
pub use receiver::{Receiver, Reception};
#[cfg(feature = "receiver")]
pub use routes::{RouteError, Routes};
#[cfg(feature = "receiver")]
pub use task::{Admitted, Answer};
#[cfg(feature = "receiver")]
pub use warning::ConfigWarning;
