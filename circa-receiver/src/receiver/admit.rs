//! Checks 1 to 12 of the contract: from the head and the body to an authentic event.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::body;
use super::config::Mode;
use super::shared::Shared;
use crate::answer::{PayloadFault, Rejection};
use crate::event;
use crate::event::AnyEvent;
use crate::event::Delivery;
use crate::verify::{Head, HeadFields};

impl Shared {
    /// Checks 1 to 12 of the contract, in its order.
    pub(crate) async fn admit<E>(
        &self,
        head: &impl Head,
        body: impl Stream<Item = Result<Bytes, E>>,
        arrived: Instant,
    ) -> Result<(Delivery, OwnedSemaphorePermit), Rejection> {
        let fields = HeadFields::read(self.verifier.sender(), head);
        if fields.method != "POST" {
            return Err(Rejection::MethodNotAllowed);
        }
        if !fields.identity_encoded {
            return Err(Rejection::UnsupportedContentEncoding);
        }
        let parsed = self.verifier.parse(fields.signed)?;
        let place = self.place()?;
        let deadline = arrived + self.read_deadline;
        let body = body::read(body, fields.content_length, self.body_limit, deadline).await?;
        let verified = self.verifier.finish(parsed, body, || self.clock.unix_seconds())?;
        let event = event::parse(&verified.into_bytes(), self.mode != Mode::Any)?;
        self.refuse_old(&event)?;
        Ok((Delivery::new(&self.endpoint, event), place))
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        if self.running.intake_stopped() {
            return Err(Rejection::ShuttingDown);
        }
        Arc::clone(&self.in_flight).try_acquire_owned().map_err(|_| Rejection::Overloaded)
    }

    /// Circularo's opt-in age limit, by the body's own timestamp.
    fn refuse_old(&self, event: &AnyEvent) -> Result<(), Rejection> {
        let Some(max_age) = self.max_event_age else { return Ok(()) };
        let happened =
            event.timestamp().and_then(|timestamp| timestamp.unix_millis()).ok_or(PayloadFault::NO_TIMESTAMP)?;
        let now = self.clock.unix_seconds().map_err(|_| Rejection::Clock)?;
        let skew_seconds = happened.div_euclid(1_000).saturating_sub(now);
        if skew_seconds < 0 && skew_seconds.unsigned_abs() > max_age.as_secs() {
            return Err(Rejection::Stale { skew_seconds });
        }
        Ok(())
    }
}
