//! Retries a call of a store that is away for a moment: that is not the sender's business
//! (contract, section 7).

use tokio::time::{Instant, sleep};

use super::defaults::{GIVE_UP_BEFORE, RETRY_PAUSES};
use super::shared::Shared;
use crate::error::StoreError;
use crate::event::Delivery;
use crate::observe::StoreOperation;

impl Shared {
    /// The answer to a call that may be retried, until 2 s before the ack deadline.
    pub(super) async fn retry<T, F>(
        &self,
        delivery: &Delivery,
        operation: StoreOperation,
        ack_deadline: Instant,
        call: impl Fn() -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let give_up = ack_deadline.checked_sub(GIVE_UP_BEFORE);
        let mut pauses = RETRY_PAUSES;
        let mut is_reported = false;
        loop {
            let error = match self.measured(operation, &call).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if !std::mem::replace(&mut is_reported, true) {
                self.observe(|observer| observer.store_error(delivery, operation, &error));
            }
            let pause = pauses.next();
            if give_up.is_none_or(|give_up| Instant::now() + pause >= give_up) {
                return Err(error);
            }
            tokio::select! {
                biased;
                () = sleep(pause) => {}
                () = self.running.drain_ended() => return Err(error),
            }
        }
    }
}
