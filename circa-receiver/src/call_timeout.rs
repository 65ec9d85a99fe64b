//! A call of a store that users bring, bounded in time. A store that panics has failed.

use std::{future::Future, time::Duration};

use crate::error::StoreError;
use crate::panic;

/// The answer to a call, within the timeout. `what` names the store in the message of a panic.
pub(crate) async fn bounded<T, F>(timeout: Duration, what: &str, call: impl FnOnce() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    match tokio::time::timeout(timeout, panic::catch(call)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panicked)) => Err(StoreError::Failed(format!("the {what} {panicked}").into())),
        Err(_) => Err(StoreError::Timeout),
    }
}
