//! How the adapters' servers treat connections, proxies, signals and logs: the reference receivers
//! as processes.

#[cfg(target_os = "linux")]
mod descriptors;
mod early_answers;
mod logs;
mod proxies;
mod secrets;
mod stopping;

use std::time::Duration;

/// A hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(60);
