//! What the environment says. A variable that is set to nothing is not set.

use std::{
    env,
    ffi::OsString,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use circa_receiver::Sender;

use crate::BoxError;

const CIRCULARO: &str = "CIRCULARO_HMAC_SECRET";

/// The endpoints that are served: their names, their senders, and the variables of their secrets.
pub(crate) fn endpoints() -> Vec<(&'static str, Sender, &'static str)> {
    let mut endpoints = vec![("circa", Sender::CIRCA, "CIRCA_WEBHOOK_SECRET")];
    if variable(CIRCULARO).or_else(|| variable(&format!("{CIRCULARO}_FILE"))).is_some() {
        endpoints.push(("circularo", Sender::CIRCULARO, CIRCULARO));
    }
    endpoints
}

pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Where it is not set the receiver's default holds.
pub(crate) fn lease() -> Result<Option<Duration>, BoxError> {
    seconds("LEASE_SECONDS", "more than 10")
}

/// How long connections are accepted after SIGTERM; 5 s by default.
///
/// # Errors
///
/// Where `GRACE_SECONDS` is not a whole number.
pub fn grace() -> Result<Duration, BoxError> {
    Ok(seconds("GRACE_SECONDS", "0 or more")?.unwrap_or(Duration::from_secs(5)))
}

fn seconds(name: &str, which: &str) -> Result<Option<Duration>, BoxError> {
    let Some(seconds) = variable(name) else { return Ok(None) };
    match seconds.to_str().map(str::parse) {
        Some(Ok(seconds)) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(format!("{name} was refused: it is a whole number of seconds, {which}").into()),
    }
}

/// Whether HTTP/2 without TLS is spoken too: `H2C`.
pub fn h2c() -> bool {
    variable("H2C").is_some()
}

/// Where to listen: `BIND`.
pub fn bind_address() -> String {
    let bind = variable("BIND").unwrap_or_else(|| "127.0.0.1:3000".into());
    bind.to_string_lossy().into_owned()
}

/// Says once that Circularo is not served.
pub(crate) fn note_without_circularo() {
    static IS_NOTED: AtomicBool = AtomicBool::new(false);
    if !IS_NOTED.swap(true, Ordering::Relaxed) {
        crate::say("CIRCULARO_HMAC_SECRET is not set: /webhooks/circularo is not served");
    }
}
