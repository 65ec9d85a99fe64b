//! A call of a store, and what became of it.

use std::fmt;

use super::faults::StoreFault;

/// A call of a dedup store or an inbox, as
/// [`FaultInjector::on_call`](super::FaultInjector::on_call) tells it. `Display` is a line of a
/// story: `complete evt_1: yes, answer lost`.
#[derive(Clone, Debug)]
pub struct StoreCall {
    pub(super) operation: &'static str,
    pub(super) event_id: String,
    pub(super) fault: Option<StoreFault>,
    /// `None` where nothing has happened.
    pub(super) did: Option<bool>,
}

impl StoreCall {
    /// The operation: `"claim"`, `"renew"`, `"complete"`, `"release"`, `"withdraw"` or `"forget"`
    /// of a store; `"accept"`, `"lease"`, `"renew"` or `"forget"` of an inbox, and `"complete"`,
    /// `"retry"`, `"postpone"`, `"give back"` or `"bury"` for its settlements.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The event that it is about.
    pub fn event_id(&self) -> &str {
        &self.event_id
    }

    /// What went wrong with it.
    pub fn fault(&self) -> Option<StoreFault> {
        self.fault
    }

    /// Whether it had its effect: a claim was won, a lease granted or prolonged, an event accepted
    /// or settled. Its answer may have been lost.
    pub fn took_effect(&self) -> bool {
        self.did == Some(true)
    }
}

impl fmt::Display for StoreCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let did = match self.did {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not reached",
        };
        write!(f, "{} {}: {did}", self.operation, self.event_id)?;
        self.fault.map_or(Ok(()), |fault| write!(f, ", {fault}"))
    }
}
