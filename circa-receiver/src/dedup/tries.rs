//! A call of a store that is tried again briefly.

use std::{future::Future, time::Duration};

use tokio::time::sleep;

use crate::error::StoreError;

/// Between the first tries to mark an event done, while its sender waits, and between those to
/// release or withdraw a claim in the background.
const PAUSES: [Duration; 3] = [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(500)];

/// The answer to a call that is tried again briefly.
pub(super) async fn tried<F>(call: impl Fn() -> F) -> Result<bool, StoreError>
where
    F: Future<Output = Result<bool, StoreError>>,
{
    let mut answer = call().await;
    for pause in PAUSES {
        if answer.is_ok() {
            break;
        }
        sleep(pause).await;
        // `false` after a try whose answer was lost: that try has done it.
        answer = call().await.map(|_| true);
    }
    answer
}
