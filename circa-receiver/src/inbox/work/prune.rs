//! Removes dead letters whose retention has ended.

use std::{convert::Infallible, future::pending, time::Duration};

use tokio::time::sleep;

use super::defaults;
use super::shared::Shared;
use crate::error::StoreError;
use crate::inbox::control::{Change, Filter};

/// How many dead letters one call looks at.
const PAGE: usize = 500;

/// Removes dead letters whose retention has ended, now and then, for as long as the worker runs.
/// Without a retention, which is the default, it removes none.
pub(super) async fn prune(shared: &Shared) -> Infallible {
    let Some(retention) = shared.dead_letter_retention else { return pending().await };
    loop {
        // After an error the next round goes on. The lease loop reports an outage.
        let _ = prune_once(shared, retention).await;
        sleep(defaults::PRUNE_EVERY).await;
    }
}

async fn prune_once(shared: &Shared, retention: Duration) -> Result<(), StoreError> {
    let over = Filter::dead().older_than(retention);
    let mut after = None;
    loop {
        let dead = shared.calls.list(&over, after, PAGE).await?;
        let Some(last) = dead.last() else { return Ok(()) };
        after = Some(last.id);
        let own = dead.iter().filter(|record| shared.endpoint(&record.endpoint).is_some());
        let ids: Vec<u64> = own.map(|record| record.id).collect();
        // Discarded without a retention, they go with what else is over.
        shared.calls.change(&ids, Change::Discard { retention: Duration::ZERO }).await?;
    }
}
