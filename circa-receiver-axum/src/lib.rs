//! Receive webhooks from [Circa](https://docs.circa.ai) and
//! [Circularo](https://developers.circularo.com) in axum.
//!
//! ```
//! use axum::Router;
//! use circa_receiver_axum::{Event, Receiver, Secret, event::WebhookTest, webhook};
//!
//! async fn tested(Event(event): Event<WebhookTest>) {
//!     println!("{}: {}", event.id(), event.data().message());
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = Secret::new("whsec_test_0123456789abcdef")?;
//! let receiver = Receiver::circa(secret).build()?;
//! let app: Router = Router::new().route("/webhooks/circa", webhook(receiver).on(tested).into_route());
//! # Ok(())
//! # }
//! ```
//!
//! - [`webhook`] makes a route: handlers are ordinary axum handlers with any extractors, one of
//!   them [`Event<T>`](Event), whose `T` tells the event type.
//! - [`ReceiverLayer`] is middleware: it verifies and claims in front of any route or tower
//!   service.
//! - [`serve`] runs the application, with limits against strangers and a stop that loses no
//!   delivery.
//! - Everything else is the core's, [`circa_receiver`], of which what is needed to get going is
//!   exported here too.
//!
//! This crate converts types and spawns tasks; every rule is the core's.

mod extract;
mod failure;
mod handler;
mod layer;
mod request;
#[cfg(feature = "serve")]
mod server;
#[cfg(feature = "testing")]
pub mod testing;
mod webhook;

pub use circa_receiver::{self, EventData, Mode, Receiver, Receivers, Routes, Secret, SecretSource, Secrets, event};

pub use extract::{AnyEvent, Completion, Event, ExtractRejection, RawDelivery};
pub use failure::Failure;
pub use handler::{HandlesEvents, TakesEvent};
pub use layer::{ReceiverLayer, ReceiverService};
#[cfg(feature = "serve")]
pub use server::{Server, serve};
pub use webhook::{Webhook, webhook};
