//! What the environment says. A variable that is set to nothing is not set.

use std::{
    env,
    ffi::OsString,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use circa_receiver::{Secret, SecretError, Secrets};

use crate::BoxError;

const CIRCA: &str = "CIRCA_WEBHOOK_SECRET";
const CIRCA_OLD: &str = "CIRCA_WEBHOOK_SECRET_OLD";
const CIRCULARO: &str = "CIRCULARO_HMAC_SECRET";

/// The secrets of both senders.
pub(crate) struct SecretsOfBoth {
    pub(crate) circa: Secrets,
    pub(crate) circularo: Option<Secrets>,
}

impl SecretsOfBoth {
    pub(crate) fn read() -> Result<Self, BoxError> {
        let required = secret(CIRCA)?.ok_or_else(|| SecretError::NotSet(CIRCA.to_owned()))?;
        let circa = Secrets::new([required].into_iter().chain(secret(CIRCA_OLD)?))?;
        let circularo = secret(CIRCULARO)?.map(Secrets::from);
        if let Some(circularo) = &circularo {
            circa.ensure_distinct(circularo)?;
        }
        Ok(Self { circa, circularo })
    }
}

/// In the variable itself, or in the file that the variable with `_FILE` behind its name points to.
fn secret(name: &str) -> Result<Option<Secret>, BoxError> {
    let in_file = format!("{name}_FILE");
    match (variable(name), variable(&in_file)) {
        (Some(_), Some(_)) => Err(format!("{name} and {in_file} are both set: set one of them").into()),
        (Some(_), None) => Ok(Some(Secret::from_env(name)?)),
        (None, Some(path)) => Ok(Some(Secret::from_file(path)?.labeled(&in_file))),
        (None, None) => Ok(None),
    }
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
