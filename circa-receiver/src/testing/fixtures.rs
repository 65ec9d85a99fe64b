//! One event of every documented shape: the five of Circa, the eleven of Circularo. Shapes as
//! documented; full ids are made up.

use crate::sender::Sender;

/// An event as its sender would send it: the body, and what it is.
#[derive(Clone, Debug)]
pub struct Fixture {
    sender: Sender,
    name: &'static str,
    event_type: &'static str,
    id: String,
    body: String,
}

impl Fixture {
    /// The sender.
    pub fn sender(&self) -> Sender {
        self.sender
    }

    /// What this fixture shows: `"datapoint.pulled (property)"`, ...
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The event type in the body.
    pub fn event_type(&self) -> &'static str {
        self.event_type
    }

    /// The id by which [`Fixture::with_id`] tells events apart: Circa's `id`, Circularo's
    /// `documentId`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The body.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The same event under another id (Circa's `id`, Circularo's `documentId`), which must need no
    /// escaping in JSON: a fresh event of the same shape.
    #[must_use]
    pub fn with_id(&self, id: &str) -> Self {
        let field = if self.sender == Sender::CIRCA { "id" } else { "documentId" };
        let [old, new] = [&self.id, id].map(|id| format!("\"{field}\":\"{id}\""));
        Self { id: id.to_owned(), body: self.body.replacen(&old, &new, 1), ..self.clone() }
    }
}

/// One fixture of every documented event shape.
pub fn fixtures() -> Vec<Fixture> {
    let circa = CIRCA.iter().map(|&(name, event_type, body)| Fixture {
        sender: Sender::CIRCA,
        name,
        event_type,
        id: body.split('"').nth(3).unwrap_or_default().to_owned(),
        body: body.to_owned(),
    });
    let circularo = CIRCULARO.iter().map(|&event_type| Fixture {
        sender: Sender::CIRCULARO,
        name: event_type,
        event_type,
        id: DOCUMENT.to_owned(),
        body: format!(
            r#"{{"documentId":"{DOCUMENT}","event":"{event_type}","actor":"mary.griffin@circularo.com","timestamp":"2024-06-01T13:10:10.500Z"}}"#
        ),
    });
    circa.chain(circularo).collect()
}

const CIRCA: [(&str, &str, &str); 5] = [
    (
        "datapoint.pulled (property)",
        "datapoint.pulled",
        r#"{"id":"evt_8f3c5d9a-0b1c-4f5e-9d2a-6b7c8d9e0f10","type":"datapoint.pulled","created":1747000800,"livemode":true,"teamId":"4b6f9c28-6f4e-4e7f-a36d-2ff989045d10","data":{"unit":"property","materialId":"8c2a17a4-1234-4d1e-9b21-3a8e2c91c0a1","propertyIds":["55ada0c1","18a58f02"],"userId":"u_a13c"}}"#,
    ),
    (
        "datapoint.pulled (process)",
        "datapoint.pulled",
        r#"{"id":"evt_b1f04e7a-0b1c-4f5e-9d2a-6b7c8d9e0f11","type":"datapoint.pulled","created":1747000801,"livemode":true,"teamId":"4b6f9c28-6f4e-4e7f-a36d-2ff989045d10","data":{"unit":"process","processId":"bfffd26f-aa46-42ab-9069-e07102b06c4d","referenceProductIds":["f5651ee4-1234-4d1e-9b21-3a8e2c91c0a1"],"revealedCount":1,"userId":"u_a13c"}}"#,
    ),
    (
        "datapoint.pulled (impact)",
        "datapoint.pulled",
        r#"{"id":"evt_c2g15f8b-0b1c-4f5e-9d2a-6b7c8d9e0f12","type":"datapoint.pulled","created":1747000802,"livemode":true,"teamId":"4b6f9c28-6f4e-4e7f-a36d-2ff989045d10","data":{"unit":"impact","processId":"340e4939-6d75-430c-b6c7-1e98d566afdd","characterizationFactorIds":["dbc5a15e-e65f-4834-85a6-b9d9940f0a67,340e4939-6d75-430c-b6c7-1e98d566afdd"],"userId":"u_a13c"}}"#,
    ),
    (
        "datapoint.pulled (older form)",
        "datapoint.pulled",
        r#"{"id":"evt_8f3c5d9a-0b1c-4f5e-9d2a-6b7c8d9e0f13","type":"datapoint.pulled","created":1747000800,"livemode":true,"teamId":"4b6f9c28-6f4e-4e7f-a36d-2ff989045d10","data":{"materialIds":["m_8c2","m_a4d"],"userId":"u_a13c","creditsDebited":2}}"#,
    ),
    (
        "webhook.test",
        "webhook.test",
        r#"{"id":"evt_3a1f9c0b-0b1c-4f5e-9d2a-6b7c8d9e0f14","type":"webhook.test","created":1747000800,"livemode":false,"teamId":"4b6f9c28-6f4e-4e7f-a36d-2ff989045d10","data":{"message":"This is a test event triggered from the developer portal."}}"#,
    ),
];

const DOCUMENT: &str = "cd47142b-2618-4993-acaa-15c662929c17";

const CIRCULARO: [&str; 11] = [
    "documentCreated",
    "documentEdited",
    "documentDeleted",
    "signRequest",
    "signDelegated",
    "signRejected",
    "signExpired",
    "signCancelled",
    "documentSigned",
    "documentCompleted",
    "documentSimpleActionExecuted",
];
