//! What the status of a framework's response means for its event (contract, section 8).

use std::time::Duration;

use super::error::HandlerError;

/// How much of a response's text is kept as the reason of a failure, in bytes.
pub const MAX_REASON_BYTES: usize = 1_024;

/// What the answer of an HTTP-flavoured handler means: 2xx is success; 4xx is permanent, except
/// 408, 423, 425 and 429, which say "later"; everything else is retryable. `reason` is the text of
/// the response, where it is known: at most 1 KiB of it is kept for observers and dead letters.
/// `retry_after` is its header of that name: with whole seconds in it, the event is retried so much
/// later where there is an inbox.
///
/// # Errors
///
/// A [`HandlerError`] that names the status and the reason, unless the status is 2xx.
pub fn handler_result(status: u16, retry_after: Option<&[u8]>, reason: Option<&str>) -> Result<(), HandlerError> {
    let error = || said("handler", status, reason);
    match status {
        200..=299 => Ok(()),
        400..=499 if !matches!(status, 408 | 423 | 425 | 429) => Err(HandlerError::permanent(error())),
        _ => Err(match retry_after.and_then(seconds) {
            Some(after) => HandlerError::retry_after(after, error()),
            None => HandlerError::retryable(error()),
        }),
    }
}

/// The status by which a handler's error shows in a framework's response: 422 where it is
/// permanent, 500 where it is retryable.
pub fn error_status(error: &HandlerError) -> u16 {
    if error.is_permanent() { 422 } else { 500 }
}

/// The whole seconds of a `Retry-After`, which may also hold a date: that is not looked at.
fn seconds(value: &[u8]) -> Option<Duration> {
    std::str::from_utf8(value).ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// Whether a status says that the handler did not succeed, so that its text is worth reading.
pub fn is_failure(status: u16) -> bool {
    !(200..=299).contains(&status)
}

/// What the status of a service behind the receiver as middleware means: 2xx completes the claim,
/// anything else releases it. `reason` is as with [`handler_result`].
///
/// # Errors
///
/// A retryable [`HandlerError`] that names the status and the reason, unless it is 2xx.
pub fn service_result(status: u16, reason: Option<&str>) -> Result<(), HandlerError> {
    if is_failure(status) { Err(HandlerError::retryable(said("service", status, reason))) } else { Ok(()) }
}

fn said(who: &str, status: u16, reason: Option<&str>) -> String {
    match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("the {who} answered {status}: {}", cut(reason)),
        None => format!("the {who} answered {status}"),
    }
}

/// At most [`MAX_REASON_BYTES`], at a character's end.
pub(crate) fn cut(text: &str) -> &str {
    let end = (0..=MAX_REASON_BYTES.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_kept_up_to_their_limit() {
        let said = |reason: &str| handler_result(422, None, Some(reason)).map_err(|error| error.to_string());
        assert_eq!(said("no such team\n"), Err("the handler answered 422: no such team".to_owned()));
        assert_eq!(said(""), Err("the handler answered 422".to_owned()));
        let long = said(&"é".repeat(1_000)).expect_err("not 2xx");
        assert_eq!(long.chars().filter(|character| *character == 'é').count(), 512);
    }

    #[test]
    fn a_retry_after_in_seconds_is_kept_where_another_try_may_help() {
        for (status, header, permanent, after) in [
            (429, Some("120"), false, Some(120)),
            (503, Some(" 7 "), false, Some(7)),
            (429, None, false, None),
            (429, Some("Wed, 21 Oct 2026 07:28:00 GMT"), false, None),
            (429, Some("-1"), false, None),
            (422, Some("120"), true, None),
        ] {
            let error = handler_result(status, header.map(str::as_bytes), None).expect_err("not 2xx");
            let expected = (permanent, after.map(Duration::from_secs));
            assert_eq!((error.is_permanent(), error.delay()), expected, "{status} {header:?}");
        }
    }
}
