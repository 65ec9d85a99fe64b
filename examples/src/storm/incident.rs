//! What was done to the processes and to the store, and when: the only things that may explain why
//! a handler ran twice.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// What was done.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum What {
    /// `kill -9`; of the store, until it was ready again.
    Killed,
    /// SIGTERM, until the process had ended.
    Terminated,
    /// A process ended without a signal, as where it cannot start while the store is away.
    EndedByItself,
    /// A process had not ended long after SIGTERM.
    DidNotEnd,
    /// SIGSTOP, until SIGCONT.
    Frozen,
    /// SIGSTOP and SIGCONT in turn: the store was slow.
    Slowed,
    /// Another held a lock that every write needs.
    Locked,
    /// The store's disk was full.
    DiskFull,
    /// The store ended all connections.
    Disconnected,
    /// The store forgot its scripts.
    ScriptsForgotten,
}

/// To whom it was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Whom {
    Process { name: String, pid: u32 },
    Store,
}

/// Times count from the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Incident {
    pub(super) what: What,
    pub(super) whom: Whom,
    pub(super) from: Duration,
    pub(super) until: Duration,
}

impl Incident {
    pub(super) fn is_of(&self, process: u32) -> bool {
        matches!(self.whom, Whom::Process { pid, .. } if pid == process)
    }

    /// A process ended in it.
    pub(super) fn is_end(&self) -> bool {
        self.whom != Whom::Store
            && matches!(self.what, What::Killed | What::Terminated | What::EndedByItself | What::DidNotEnd)
    }

    /// Nothing was renewed and nothing marked meanwhile: by the process, or by nobody.
    pub(super) fn is_standstill(&self) -> bool {
        match self.what {
            What::Frozen | What::Slowed | What::Locked | What::DiskFull => true,
            What::Killed => self.whom == Whom::Store,
            What::Terminated | What::EndedByItself | What::DidNotEnd | What::Disconnected | What::ScriptsForgotten => {
                false
            }
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "kill -9",
            Self::Terminated => "SIGTERM",
            Self::EndedByItself => "ended by itself",
            Self::DidNotEnd => "did not end after SIGTERM",
            Self::Frozen => "freeze",
            Self::Slowed => "slow phase",
            Self::Locked => "lock",
            Self::DiskFull => "full disk",
            Self::Disconnected => "connections terminated",
            Self::ScriptsForgotten => "SCRIPT FLUSH",
        })
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process { name, pid } => write!(f, "{name} (pid {pid})"),
            Self::Store => f.write_str("the store"),
        }
    }
}

/// All incidents, written down by those who cause them.
#[derive(Debug, Default)]
pub(super) struct Incidents(Mutex<Vec<Incident>>);

impl Incidents {
    pub(super) fn add(&self, what: What, whom: Whom, from: Duration, until: Duration) {
        self.lock().push(Incident { what, whom, from, until });
    }

    /// In the order in which they began.
    pub(super) fn all(&self) -> Vec<Incident> {
        let mut all = self.lock().clone();
        all.sort_by_key(|incident| incident.from);
        all
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Incident>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
