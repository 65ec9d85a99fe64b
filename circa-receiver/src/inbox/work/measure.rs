//! Tells observers what the inbox holds.

use std::{convert::Infallible, future::pending};

use tokio::time::sleep;

use super::defaults;
use super::shared::Shared;

/// Asks the inbox for what it holds of each endpoint, now and then, for as long as the worker runs.
/// Where nobody observes it does not ask.
pub(super) async fn measure(shared: &Shared) -> Infallible {
    if shared.observers.is_empty() {
        return pending().await;
    }
    loop {
        for endpoint in &shared.endpoints {
            // The lease loop reports an outage.
            if let Ok(stats) = shared.calls.stats(&endpoint.name).await {
                shared.observers.tell(|observer| observer.inbox_measured(&endpoint.name, &stats));
            }
        }
        sleep(defaults::MEASURE_EVERY).await;
    }
}
