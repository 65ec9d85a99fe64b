//! Replaying dead letters, and counting them by what they have in common.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::control::{Change, Filter, Record, State};
use super::settlement::Cause;
use super::store::Inbox;
use crate::error::StoreError;

/// How many events one call looks at.
const PAGE: usize = 500;

/// A replay of dead letters: of the set as it was when it was planned, in order of arrival.
///
/// ```
/// # use circa_receiver::{BoxError, inbox::{Filter, Replay}, testing::MemoryInbox};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), BoxError> {
/// # let inbox = MemoryInbox::default();
/// let replay = Replay::plan(&inbox, Filter::dead().endpoint("circa")).await?;
/// println!("{} events would be replayed", replay.len());
/// replay.run(&inbox, std::num::NonZeroU32::new(10)).await?; // 10 a second; dropped, it stops
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is replayed before `run`"]
pub struct Replay {
    ids: Vec<u64>,
}

impl Replay {
    /// Plans a replay of the dead letters that the filter covers now.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    pub async fn plan(inbox: &dyn Inbox, filter: Filter) -> Result<Self, StoreError> {
        let mut ids = Vec::new();
        each(inbox, &filter.state(State::Dead), |record| ids.push(record.id)).await?;
        Ok(Self { ids })
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is nothing to replay.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Has them run again, so many a second, or at once, and says how many were still dead.
    /// Dropped, it stops where it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed; what was replayed before stays replayed.
    pub async fn run(&self, inbox: &dyn Inbox, per_second: Option<NonZeroU32>) -> Result<u64, StoreError> {
        let (batch, pause) = match per_second {
            None => (PAGE, Duration::ZERO),
            Some(rate) => (1, Duration::from_secs(1) / rate.get()),
        };
        let mut replayed = 0;
        let mut next = Instant::now();
        for ids in self.ids.chunks(batch) {
            sleep_until(next).await;
            replayed += inbox.change(ids, Change::Replay).await?;
            next += pause;
        }
        Ok(replayed)
    }
}

/// Dead letters that have endpoint, type and cause in common, and how many there are.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Group {
    endpoint: String,
    event_type: String,
    cause: Option<Cause>,
    count: usize,
}

impl Group {
    /// Counts the dead letters that a filter covers, the largest group first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the inbox failed.
    pub async fn count(inbox: &dyn Inbox, filter: Filter) -> Result<Vec<Self>, StoreError> {
        let mut counts: BTreeMap<_, usize> = BTreeMap::new();
        let mut count = |record: Record| {
            *counts.entry((record.endpoint, record.event_type, record.cause)).or_default() += 1;
        };
        each(inbox, &filter.state(State::Dead), &mut count).await?;
        let group = |((endpoint, event_type, cause), count)| Self { endpoint, event_type, cause, count };
        let mut groups: Vec<_> = counts.into_iter().map(group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        Ok(groups)
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The type.
    pub fn event_type(&self) -> &str {
        &self.event_type
    }

    /// Why they are dead.
    pub fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// How many there are.
    pub fn events(&self) -> usize {
        self.count
    }
}

/// Takes each event that a filter covers, page by page: a page alone is held in memory.
async fn each(inbox: &dyn Inbox, filter: &Filter, mut take: impl FnMut(Record)) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = inbox.list(filter, after, PAGE).await?;
        let is_last = page.len() < PAGE;
        after = page.last().map(|record| record.id);
        page.into_iter().for_each(&mut take);
        if is_last {
            return Ok(());
        }
    }
}
