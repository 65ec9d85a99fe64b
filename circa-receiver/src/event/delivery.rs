//! A delivery that was let in: an authentic event at an endpoint.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::any::AnyEvent;
#[cfg(feature = "receiver")]
use crate::completion::Completion;
use crate::verify::hex;

/// An authentic event that has arrived at an endpoint.
///
/// `Debug` shows endpoint, sender, id and type, nothing of the body.
#[derive(Clone, Debug)]
pub struct Delivery {
    endpoint: Arc<str>,
    event: AnyEvent,
    tenant: Option<Arc<str>>,
    #[cfg(feature = "receiver")]
    completion: Option<Completion>,
}

impl Delivery {
    /// An event at the endpoint with this name. The receiver makes the deliveries that handlers
    /// get; in tests you can.
    pub fn new(endpoint: impl Into<Arc<str>>, event: AnyEvent) -> Self {
        Self {
            endpoint: endpoint.into(),
            event,
            tenant: None,
            #[cfg(feature = "receiver")]
            completion: None,
        }
    }

    /// The name of the endpoint: [`ReceiverBuilder::endpoint`](crate::ReceiverBuilder::endpoint).
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    #[cfg(feature = "receiver")]
    pub(crate) fn of_tenant(self, tenant: Arc<str>) -> Self {
        Self { tenant: Some(tenant), ..self }
    }

    /// The tenant, where the receiver has several: that of the path. It is part of the endpoint's
    /// name too, `"circa/acme"`.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    #[cfg(feature = "receiver")]
    pub(crate) fn completed_with(self, completion: Completion) -> Self {
        Self { completion: Some(completion), ..self }
    }

    /// With what a handler that is run from an inbox completes its run in a transaction of its own;
    /// `None` without an inbox, and for observers.
    #[cfg(feature = "receiver")]
    pub fn completion(&self) -> Option<&Completion> {
        self.completion.as_ref()
    }

    /// The event.
    pub fn event(&self) -> &AnyEvent {
        &self.event
    }

    /// The whole body, byte for byte as received and signed.
    pub fn body(&self) -> &Bytes {
        self.event.body()
    }

    /// A key for one step of handling this event, 64 hex digits: the same in every attempt and
    /// process, and of no other endpoint, event or step. For interfaces that take an idempotency
    /// key.
    ///
    /// ```
    /// # use circa_receiver::Delivery;
    /// # fn charge(delivery: &Delivery) {
    /// let key = delivery.idempotency_key("charge");
    /// # }
    /// ```
    pub fn idempotency_key(&self, step: &str) -> String {
        let mut hash = Sha256::new();
        for part in [self.endpoint(), self.event.id(), step] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex::encode(hash.finalize().into())
    }

    /// The event alone.
    pub fn into_event(self) -> AnyEvent {
        self.event
    }
}
