//! The limits of a server's connections.

use std::time::Duration;

/// More than bodies that may be waited for (4,096): those are given up before connections are.
const MAX_CONNECTIONS: usize = 8_192;

/// A head comes in one packet; slower is a stranger who holds a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Above the 60 s after which proxies close idle connections: the side that sends requests is to
/// close first.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// Descriptors that are not connections: the store's, the log's, the listener's.
const OTHER_DESCRIPTORS: usize = 64;

/// How long and how many connections are kept.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// How long the first head of a connection may take; 5 s by default.
    pub head_timeout: Duration,
    /// How long a connection may stay open without a request; 75 s by default.
    pub idle_timeout: Duration,
    /// How many connections may be open; 8,192 by default.
    pub max_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let (head_timeout, idle_timeout) = (HEAD_TIMEOUT, IDLE_TIMEOUT);
        Self { head_timeout, idle_timeout, max_connections: MAX_CONNECTIONS }
    }
}

impl Limits {
    /// With as many connections as the process may have descriptors for, of which each takes so
    /// many. The process's limit is raised first, as far as the system lets it.
    pub(super) fn within_descriptors(mut self, each: usize) -> Self {
        let wanted = self.max_connections.saturating_mul(each).saturating_add(OTHER_DESCRIPTORS);
        if let Some(descriptors) = descriptors(wanted) {
            let connections = descriptors.saturating_sub(OTHER_DESCRIPTORS) / each;
            self.max_connections = self.max_connections.min(connections).max(1);
        }
        self
    }
}

/// How many descriptors the process may have, where the system has a limit.
#[cfg(unix)]
fn descriptors(wanted: usize) -> Option<usize> {
    let wanted = u64::try_from(wanted).ok()?;
    let (now, _) = rlimit::Resource::NOFILE.get().ok()?;
    let raised = if now < wanted { rlimit::increase_nofile_limit(wanted).unwrap_or(now) } else { now };
    usize::try_from(raised).ok()
}

#[cfg(not(unix))]
fn descriptors(_: usize) -> Option<usize> {
    None
}
