//! Why a delivery was refused. For logs and metrics; the sender only sees the status.

use super::fault::PayloadFault;

/// Why a delivery was refused, in the order of the checks. The answers are in
/// [`Outcome`](crate::Outcome).
///
/// The sender never gets it: all 401 answers are the same bytes.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
pub enum Rejection {
    /// The method is not POST. Answered 405 with `Allow: POST`.
    #[error("the method is not POST")]
    MethodNotAllowed,
    /// `Content-Encoding` is neither absent nor `identity`. Answered 415.
    #[error("the body has a content encoding other than identity")]
    UnsupportedContentEncoding,
    /// The signature header is absent, empty or blank. Answered 401.
    #[error("the signature header is missing")]
    MissingSignature,
    /// The signature header is not of its sender's grammar, or stands there twice. Answered 401.
    #[error("the signature header is malformed")]
    MalformedSignature,
    /// The body is larger than the limit (default 1 MiB). Answered 413.
    #[error("the body is larger than the limit")]
    PayloadTooLarge,
    /// The whole body did not arrive within the read deadline (default 10 s). Answered 408.
    #[error("the body did not arrive in time")]
    BodyReadTimeout,
    /// The body ended before it was complete. Answered 400.
    #[error("the body ended before it was complete")]
    BodyIncomplete,
    /// No offered MAC matches under any secret. Answered 401.
    #[error("the signature matches no secret")]
    SignatureMismatch,
    /// The secrets of a tenant cannot be looked up, and none are known that are younger than 1 h.
    /// Answered 503.
    #[error("the secrets of a tenant cannot be looked up")]
    SecretsUnavailable,
    /// Authentic, but signed too long ago or too far ahead. See
    /// [`Verifier::tolerance`](crate::Verifier::tolerance). Answered 401.
    #[error("authentic, but the timestamp is {skew_seconds} s away from the receiver's clock")]
    Stale {
        /// The signed time minus the receiver's clock, in seconds: negative for the past, positive
        /// for the future.
        skew_seconds: i64,
    },
    /// The receiver's clock stands before 1970. Answered 503.
    #[error("the receiver's clock stands before 1970")]
    Clock,
    /// More requests in flight than allowed (default 256). Answered 503.
    #[error("too many requests in flight")]
    Overloaded,
    /// The receiver is shutting down and takes no more deliveries. Answered 503.
    #[error("the receiver is shutting down")]
    ShuttingDown,
    /// The body is not UTF-8, not one JSON object, or its envelope does not identify an event.
    /// Answered 400, or handed to the dead-letter sink where there is one.
    #[error("the body is not a valid event: {0}")]
    MalformedPayload(PayloadFault),
    /// An unsigned header contradicts the signed body. Answered 400.
    #[error("an unsigned header contradicts the signed body")]
    HeaderBodyMismatch,
    /// The dedup store or the inbox failed, or did not answer within its timeout (default 2 s).
    /// Answered 503.
    #[error("the dedup store or the inbox is unavailable")]
    StoreUnavailable,
}

impl Rejection {
    /// One of each reason, in the order of the checks.
    pub const ALL: [Self; 16] = [
        Self::MethodNotAllowed,
        Self::UnsupportedContentEncoding,
        Self::MissingSignature,
        Self::MalformedSignature,
        Self::PayloadTooLarge,
        Self::BodyReadTimeout,
        Self::BodyIncomplete,
        Self::SignatureMismatch,
        Self::SecretsUnavailable,
        Self::Stale { skew_seconds: 0 },
        Self::Clock,
        Self::Overloaded,
        Self::ShuttingDown,
        Self::MalformedPayload(PayloadFault::NOT_UTF_8),
        Self::HeaderBodyMismatch,
        Self::StoreUnavailable,
    ];

    /// The reason as one word, for metric labels: `"signature_mismatch"`,
    /// `"timestamp_out_of_tolerance"`, ...
    pub fn reason(self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "method_not_allowed",
            Self::UnsupportedContentEncoding => "unsupported_content_encoding",
            Self::MissingSignature => "missing_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::PayloadTooLarge => "payload_too_large",
            Self::BodyReadTimeout => "body_read_timeout",
            Self::BodyIncomplete => "body_incomplete",
            Self::SignatureMismatch => "signature_mismatch",
            Self::SecretsUnavailable => "secrets_unavailable",
            Self::Stale { .. } => "timestamp_out_of_tolerance",
            Self::Clock => "clock_error",
            Self::Overloaded => "overloaded",
            Self::ShuttingDown => "shutting_down",
            Self::MalformedPayload(_) => "malformed_payload",
            Self::HeaderBodyMismatch => "header_body_mismatch",
            Self::StoreUnavailable => "store_unavailable",
        }
    }
}

impl From<PayloadFault> for Rejection {
    fn from(fault: PayloadFault) -> Self {
        Self::MalformedPayload(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new reason does not compile here before it has a place in the list.
    #[test]
    fn all_are_listed_once() {
        for (at, rejection) in Rejection::ALL.into_iter().enumerate() {
            let place = match rejection {
                Rejection::MethodNotAllowed => 0,
                Rejection::UnsupportedContentEncoding => 1,
                Rejection::MissingSignature => 2,
                Rejection::MalformedSignature => 3,
                Rejection::PayloadTooLarge => 4,
                Rejection::BodyReadTimeout => 5,
                Rejection::BodyIncomplete => 6,
                Rejection::SignatureMismatch => 7,
                Rejection::SecretsUnavailable => 8,
                Rejection::Stale { .. } => 9,
                Rejection::Clock => 10,
                Rejection::Overloaded => 11,
                Rejection::ShuttingDown => 12,
                Rejection::MalformedPayload(_) => 13,
                Rejection::HeaderBodyMismatch => 14,
                Rejection::StoreUnavailable => 15,
            };
            assert_eq!(place, at, "{rejection}");
        }
    }
}
