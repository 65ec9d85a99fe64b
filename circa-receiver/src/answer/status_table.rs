//! The one table that turns an outcome into a status, headers and a body (contract, sections 1 and
//! 8).
//!
//! The table is exhaustive: a new outcome or rejection does not compile until its answer is
//! decided.

use super::outcome::Outcome;
use super::rejection::Rejection;
use super::response::{Response, plain, with_header};

/// The header of 200 and 202 answers that says what happened.
pub(crate) const OUTCOME_HEADER: &str = "circa-receiver-outcome";

impl Outcome {
    /// The answer to the sender. The whole table is here.
    pub fn response(self) -> Response {
        match self {
            Self::Handled | Self::Duplicate | Self::Ignored | Self::DeadLettered => done(200, self.as_str()),
            Self::Accepted => done(202, self.as_str()),
            Self::Failed => plain(500, "internal server error"),
            // Circa's first retry comes after 30 s (Circa documentation, Webhooks).
            Self::Unfinished => with_header(503, ("retry-after", "30"), "service unavailable"),
            Self::Rejected(rejection) => match rejection {
                Rejection::MethodNotAllowed => with_header(405, ("allow", "POST"), "method not allowed").closing(),
                Rejection::UnsupportedContentEncoding => plain(415, "unsupported media type").closing(),
                Rejection::MissingSignature
                | Rejection::MalformedSignature
                | Rejection::SignatureMismatch
                | Rejection::Stale { .. } => plain(401, "unauthorized").closing(),
                Rejection::PayloadTooLarge => plain(413, "payload too large").closing(),
                Rejection::BodyReadTimeout => plain(408, "request timeout").closing(),
                Rejection::BodyIncomplete => plain(400, "bad request").closing(),
                Rejection::MalformedPayload(_) | Rejection::HeaderBodyMismatch => plain(400, "bad request"),
                Rejection::Overloaded | Rejection::ShuttingDown => plain(503, "service unavailable").closing(),
                Rejection::Clock | Rejection::StoreUnavailable | Rejection::SecretsUnavailable => {
                    plain(503, "service unavailable")
                }
            },
        }
    }
}

fn done(status: u16, outcome: &'static str) -> Response {
    with_header(status, (OUTCOME_HEADER, outcome), outcome)
}
