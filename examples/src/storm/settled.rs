//! Waits until everything that is under way has come to its end.

use std::{
    collections::{BTreeSet, HashSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use circa_receiver::{
    Inbox,
    inbox::{Filter, State},
};
use tokio::time::sleep;

use super::incident::{Incident, Incidents, Whom};
use super::ledger::{self, now};
use super::settings::QUIET_WITHIN;
use crate::BoxError;

/// How often it is looked.
const LOOKS_EVERY: Duration = Duration::from_millis(250);
/// The most events of each state that are counted in an inbox.
const COUNTED: usize = 1_000;

/// Waits until no handler runs, and nothing is left in the inbox, where there is one. What is left
/// after a bound is stuck.
pub(super) async fn until_settled(
    ledger: &Path,
    incidents: &Incidents,
    inbox: Option<&Arc<dyn Inbox>>,
) -> Result<BTreeSet<String>, BoxError> {
    let deadline = now() + QUIET_WITHIN;
    loop {
        let mut left = running(ledger, &incidents.all())?;
        if let Some(inbox) = inbox {
            left.extend(waiting(inbox).await?);
        }
        if left.is_empty() || now() >= deadline {
            return Ok(left);
        }
        sleep(LOOKS_EVERY).await;
    }
}

/// The events whose handlers run, in processes that live.
fn running(ledger: &Path, incidents: &[Incident]) -> Result<BTreeSet<String>, BoxError> {
    let ended: HashSet<u32> = incidents.iter().filter(|incident| incident.is_end()).filter_map(pid).collect();
    let runs = ledger::read(ledger)?.into_iter();
    Ok(runs.filter(|run| run.ended.is_none() && !ended.contains(&run.pid)).map(|run| run.event).collect())
}

fn pid(incident: &Incident) -> Option<u32> {
    match incident.whom {
        Whom::Process { pid, .. } => Some(pid),
        Whom::Store => None,
    }
}

/// The events that an inbox has accepted, and that have not come to their end: by their ids.
async fn waiting(inbox: &Arc<dyn Inbox>) -> Result<BTreeSet<String>, BoxError> {
    let mut waiting = BTreeSet::new();
    for state in [State::Ready, State::Running, State::Dead] {
        let left = inbox.list(&Filter::all().state(state), None, COUNTED).await?;
        waiting.extend(left.into_iter().map(|record| format!("{} ({state:?})", record.event_id)));
    }
    Ok(waiting)
}
