//! The data of `webhook.test` (Circa documentation, Webhooks).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::typed::EventData;
use crate::sender::Sender;

/// The data of `webhook.test`, sent by the portal's "Send test" button.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct WebhookTest {
    message: Option<String>,
}

impl EventData for WebhookTest {
    const SENDER: Sender = Sender::CIRCA;
    const TYPE: &'static str = "webhook.test";
}

impl WebhookTest {
    /// The sender's message; empty where it sent none.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default()
    }
}

/// Shows nothing of the message, which is free text.
impl fmt::Debug for WebhookTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookTest").finish_non_exhaustive()
    }
}
