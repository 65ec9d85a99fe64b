//! The order of a storm: everything is sent while the faults happen, comes to its end, and is sent
//! once more.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    rc::Rc,
    time::Duration,
};

use circa_receiver::testing::Fixture;
use tokio::time::sleep;

use super::crew::Launch;
use super::effects::Effect;
use super::front::Front;
use super::incident::Incidents;
use super::judge::Sent;
use super::lanes::Lanes;
use super::ledger::now;
use super::options::{Mode, Options};
use super::senders::{is_retried, send_again, send_all};
use super::settled::until_settled;
use crate::{
    BoxError,
    store::{self, Kept},
};

const LOOKS_EVERY: Duration = Duration::from_millis(50);
/// A loaded machine is slow, a program that does not start takes for ever.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// What came of it; times count from the Unix epoch.
pub(super) struct Story {
    pub(super) begun: Duration,
    pub(super) sent_again: Duration,
    pub(super) sent: Vec<Sent>,
    pub(super) answers: BTreeMap<String, usize>,
    pub(super) stuck: BTreeSet<String>,
    /// `None` where nobody can book any.
    pub(super) effects: Option<Vec<Effect>>,
}

/// Waits until all receivers accept connections.
pub(super) async fn until_open(front: &Front) -> Result<(), BoxError> {
    let deadline = now() + STARTS_WITHIN;
    while !front.is_open().await {
        if now() >= deadline {
            return Err(format!("the receivers did not start within {STARTS_WITHIN:?}").into());
        }
        sleep(LOOKS_EVERY).await;
    }
    Ok(())
}

/// From the first event to the last.
pub(super) async fn tell(
    options: &Options,
    launch: &Launch,
    events: &[Fixture],
    front: &Rc<Front>,
    incidents: &Incidents,
    lanes: &Lanes,
) -> Result<Story, BoxError> {
    let begun = now();
    send_all(events, front, options).await;
    while !lanes.are_done() {
        sleep(LOOKS_EVERY).await;
    }
    let kept = store::open(&launch.store_url, options.mode == Mode::Inbox).await?;
    let inbox = if let Kept::Inbox(inbox) = &kept { Some(inbox) } else { None };
    let ledger: &Path = &launch.ledger();
    let mut stuck = until_settled(ledger, incidents, inbox).await?;
    let sent = events.iter().map(|event| Sent {
        event: event.id().to_owned(),
        is_retried: is_retried(event),
        is_answered: front.is_answered(event.id()),
    });
    let (sent, answers, sent_again) = (sent.collect(), front.answers(), now());
    stuck.extend(send_again(events, front).await);
    stuck.extend(until_settled(ledger, incidents, inbox).await?);
    let effects = match launch.effects()? {
        Some(effects) => Some(effects.all().await?),
        None => None,
    };
    Ok(Story { begun, sent_again, sent, answers, stuck, effects })
}
