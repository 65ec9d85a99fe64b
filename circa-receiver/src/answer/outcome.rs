//! What became of a delivery, and the one table that turns it into an answer.
//!
//! The table is exhaustive: a new outcome or rejection does not compile until its answer is decided.

use std::fmt;

use super::rejection::Rejection;

/// The header of 200 and 202 answers that says what happened.
pub(crate) const OUTCOME_HEADER: &str = "circa-receiver-outcome";

/// What became of a delivery.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// The handler ran and succeeded. Answered 200.
    Handled,
    /// The event is durably stored and will be handled. Answered 202.
    Accepted,
    /// The event had been handled before, or by another delivery meanwhile. Answered 200.
    Duplicate,
    /// The event is authentic and not wanted: another mode, or no handler for its type. Answered 200.
    Ignored,
    /// The event can never be handled and went to the dead-letter sink. Answered 200.
    DeadLettered,
    /// The handler failed, or panicked; the event may be sent again. Answered 500.
    Failed,
    /// The handler had not ended by the ack deadline (default 10 s) and runs on. Answered 503 with `Retry-After: 30`.
    Unfinished,
    /// The delivery was refused.
    Rejected(Rejection),
}

/// An answer: status, headers and body, the same from every framework.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct Response {
    status: u16,
    header: Option<(&'static str, &'static str)>,
    body: &'static str,
    closes_connection: bool,
}

impl Response {
    /// The HTTP status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The headers: names in lower case, and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        [("content-type", "text/plain; charset=utf-8")].into_iter().chain(self.header)
    }

    /// Whether an HTTP/1 connection is to be closed, with the header that says so: where the request's body may not have been read to its end, and
    /// for every 401, so that none tells by this whether the body was read. Servers do it one way or the other; this makes it one way.
    pub fn closes_connection(&self) -> bool {
        self.closes_connection
    }

    /// The body: a word or two, nothing of the request.
    pub fn body(&self) -> &'static str {
        self.body
    }
}

impl Outcome {
    /// All outcomes but refusals, which are [`Rejection::ALL`].
    pub const UNREFUSED: [Self; 7] = [
        Self::Handled,
        Self::Accepted,
        Self::Duplicate,
        Self::Ignored,
        Self::DeadLettered,
        Self::Failed,
        Self::Unfinished,
    ];

    /// The outcome as one word, for metric labels: `"handled"`, `"dead-lettered"`, ...; of a refusal its
    /// [reason](Rejection::reason).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::DeadLettered => "dead-lettered",
            Self::Failed => "failed",
            Self::Unfinished => "unfinished",
            Self::Rejected(rejection) => rejection.reason(),
        }
    }

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
                Rejection::Clock | Rejection::StoreUnavailable => plain(503, "service unavailable"),
            },
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Response {
    fn closing(self) -> Self {
        Self { closes_connection: true, ..self }
    }
}

fn done(status: u16, outcome: &'static str) -> Response {
    with_header(status, (OUTCOME_HEADER, outcome), outcome)
}

pub(crate) fn plain(status: u16, body: &'static str) -> Response {
    Response { status, header: None, body, closes_connection: false }
}

pub(crate) fn with_header(status: u16, header: (&'static str, &'static str), body: &'static str) -> Response {
    Response { header: Some(header), ..plain(status, body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new outcome does not compile here before it has a place in the list.
    #[test]
    fn all_are_listed_once() {
        for (at, outcome) in Outcome::UNREFUSED.into_iter().enumerate() {
            let place = match outcome {
                Outcome::Handled => 0,
                Outcome::Accepted => 1,
                Outcome::Duplicate => 2,
                Outcome::Ignored => 3,
                Outcome::DeadLettered => 4,
                Outcome::Failed => 5,
                Outcome::Unfinished => 6,
                Outcome::Rejected(_) => unreachable!("has a list of its own"),
            };
            assert_eq!(place, at, "{outcome}");
        }
    }
}
