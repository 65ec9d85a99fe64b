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
        for endpoint in &shared.endpoints {
            // After an error the next round goes on. That the inbox is away is told by leases.
            let _ = prune_endpoint(shared, &endpoint.name, retention).await;
        }
        sleep(defaults::PRUNE_EVERY).await;
    }
}

async fn prune_endpoint(shared: &Shared, endpoint: &str, retention: Duration) -> Result<(), StoreError> {
    let over = Filter::dead().endpoint(endpoint).older_than(retention);
    loop {
        let dead = shared.calls.list(&over, PAGE).await?;
        let ids: Vec<u64> = dead.into_iter().map(|record| record.id).collect();
        // Discarded without a retention, they go with what else is over.
        if ids.is_empty() || shared.calls.change(&ids, Change::Discard { retention: Duration::ZERO }).await? == 0 {
            return Ok(());
        }
    }
}
