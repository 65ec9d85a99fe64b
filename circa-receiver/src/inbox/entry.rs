//! What an inbox stores of one delivery, and the way back from it to the event.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::head::StoredHead;
use crate::dedup::{Fingerprint, Key};
use crate::error::BoxError;
use crate::event::Delivery;
use crate::verify::{Head, SecretId, Verified};

/// What an inbox stores of one delivery: the endpoint, the event's id and type, what was verified,
/// and the exact body. Cheap to clone.
///
/// An inbox keeps the parts and gives them back with [`Entry::from_parts`]. `Debug` shows endpoint,
/// id and type, nothing of the body.
#[derive(Clone)]
pub struct Entry(Arc<Inner>);

struct Inner {
    endpoint: Arc<str>,
    event_id: String,
    event_type: String,
    details: String,
    body: Bytes,
}

/// What was verified, as it is stored.
#[derive(Deserialize, Serialize)]
struct Details {
    sender: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signed_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default)]
    head: StoredHead,
}

impl Details {
    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers are JSON")
    }
}

#[derive(Deserialize, Serialize)]
struct Secret {
    position: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

impl Entry {
    /// What is stored of a delivery that was let in, and of the head of its request.
    pub fn new(delivery: &Delivery, head: &impl Head) -> Self {
        let event = delivery.event();
        let secret =
            |secret: &SecretId| Secret { position: secret.position(), label: secret.label().map(ToOwned::to_owned) };
        let details = Details {
            sender: event.sender().name().to_owned(),
            signed_at: event.signed_at(),
            secret: event.secret().map(secret),
            tenant: delivery.tenant().map(ToOwned::to_owned),
            head: StoredHead::of(event.sender(), head),
        };
        let (id, event_type, body) = (event.id(), event.event_type(), delivery.body().clone());
        Self::from_parts(delivery.endpoint(), id, event_type, details.to_json(), body)
    }

    /// An entry from its parts, as an inbox has stored them.
    pub fn from_parts(
        endpoint: &str,
        event_id: impl Into<String>,
        event_type: impl Into<String>,
        details: impl Into<String>,
        body: Bytes,
    ) -> Self {
        let (event_id, event_type, details) = (event_id.into(), event_type.into(), details.into());
        Self(Arc::new(Inner { endpoint: endpoint.into(), event_id, event_type, details, body }))
    }

    /// The name of the endpoint at which it arrived.
    pub fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The event's id.
    pub fn event_id(&self) -> &str {
        &self.0.event_id
    }

    /// The event's type.
    pub fn event_type(&self) -> &str {
        &self.0.event_type
    }

    /// What was verified, and what is kept of the request's head, as JSON: `sender`, `signed_at`,
    /// `secret`, `tenant`, `head`. No secret and no signature is in it.
    pub fn details(&self) -> &str {
        &self.0.details
    }

    /// The body, byte for byte as received and signed.
    pub fn body(&self) -> &Bytes {
        &self.0.body
    }

    /// What identifies the event.
    pub fn key(&self) -> Key {
        Key::new(self.endpoint(), self.event_id())
    }

    /// The fingerprint of the body.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.body())
    }

    /// The delivery as it was let in, and what is known of its request's head.
    pub(crate) fn restore(&self) -> Result<(Delivery, StoredHead), BoxError> {
        let details: Details = serde_json::from_str(self.details())?;
        let secret = details.secret.map(|secret| SecretId::stored(secret.position, secret.label.as_deref()));
        let webhook_id = details.head.get("circa-webhook-id");
        let verified =
            Verified::stored(details.sender.parse()?, secret, details.signed_at, webhook_id, self.body().clone());
        let delivery = Delivery::new(Arc::clone(&self.0.endpoint), verified.event()?);
        let delivery = match details.tenant {
            Some(tenant) => delivery.of_tenant(tenant.into()),
            None => delivery,
        };
        Ok((delivery, details.head))
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("endpoint", &self.endpoint())
            .field("id", &self.event_id())
            .field("type", &self.event_type())
            .finish_non_exhaustive()
    }
}
