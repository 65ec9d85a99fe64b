//! An endpoint as its sender sees it: who signs, how many failures in a row, and whether it is
//! disabled.

use std::{cell::RefCell, collections::HashSet};

/// How many failures in a row disable an endpoint (Circa documentation, Webhooks).
const FAILURES_TO_DISABLE: usize = 20;

/// Faults are only added while so many failures in a row are not yet there, so that they alone
/// never disable an endpoint.
const FAULTS_IN_A_ROW: usize = 10;

/// What counts towards the 20 failures in a row that disable an endpoint. Circa's documentation
/// does not say.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Disabling {
    /// Every failed attempt: the stricter reading.
    #[default]
    Attempts,
    /// Every event with a failed attempt, once.
    Events,
}

#[derive(Debug)]
pub(super) struct EndpointState {
    disabling: Disabling,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    failed_attempts: usize,
    failed_events: HashSet<String>,
    faults_under_way: usize,
    disabled: bool,
}

impl EndpointState {
    pub(super) fn new(disabling: Disabling) -> Self {
        Self { disabling, state: RefCell::default() }
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.state.borrow().disabled
    }

    /// Whether one more fault is allowed; if so it is under way until the attempt has ended.
    pub(super) fn begin_fault(&self) -> bool {
        let mut state = self.state.borrow_mut();
        let allowed = state.failed_attempts + state.faults_under_way < FAULTS_IN_A_ROW;
        state.faults_under_way += usize::from(allowed);
        allowed
    }

    pub(super) fn end_attempt(&self, event_id: &str, with_fault: bool, success: bool) {
        let mut state = self.state.borrow_mut();
        state.faults_under_way -= usize::from(with_fault);
        if success {
            state.failed_attempts = 0;
            state.failed_events.clear();
            return;
        }
        state.failed_attempts += 1;
        state.failed_events.insert(event_id.to_owned());
        let failures = match self.disabling {
            Disabling::Attempts => state.failed_attempts,
            Disabling::Events => state.failed_events.len(),
        };
        state.disabled |= failures >= FAILURES_TO_DISABLE;
    }
}
