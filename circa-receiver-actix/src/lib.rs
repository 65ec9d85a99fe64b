//! Receive webhooks from [Circa](https://docs.circa.ai) and
//! [Circularo](https://developers.circularo.com) in actix-web.
//!
//! ```
//! use actix_web::{App, web};
//! use circa_receiver_actix::{Event, Receiver, Secret, event::WebhookTest, webhook};
//!
//! async fn tested(Event(event): Event<WebhookTest>) -> &'static str {
//!     println!("{}: {}", event.id(), event.data().message());
//!     "tested"
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let secret = Secret::new("whsec_test_0123456789abcdef")?;
//! let receiver = Receiver::circa(secret).build()?;
//! let app = App::new().service(web::resource("/webhooks/circa").route(webhook(receiver).on(tested).into_route()));
//! # Ok(())
//! # }
//! ```
//!
//! - [`webhook`] makes a route: handlers are ordinary actix handlers with any extractors, one of
//!   them [`Event<T>`](Event), whose `T` tells the event type.
//! - [`ReceiverLayer`] is middleware: it verifies and claims in front of any service.
//! - [`serve`] runs the application, with limits against strangers and a stop that loses no
//!   delivery.
//! - Everything else is the core's, [`circa_receiver`], of which what is needed to get going is
//!   exported here too.
//!
//! Build the receiver outside of the application factory and clone it in: its clones share one
//! dedup store.
//!
//! Handlers need not be `Send`: each runs in a task of its own on its worker's runtime. End them
//! before the server is stopped, with [`Receiver::shutdown`].
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

pub use extract::{AnyEvent, Event, ExtractRejection, RawDelivery};
pub use failure::Failure;
pub use handler::{HandlesEvents, TakesEvent};
pub use layer::{ReceiverLayer, ReceiverService};
#[cfg(feature = "serve")]
pub use server::{Server, serve};
pub use webhook::{Webhook, webhook};
