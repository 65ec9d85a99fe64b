//! Checks 1 to 12 of the contract: from the head and the body to an authentic event.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_core::Stream;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::body;
use super::config::Mode;
use super::shared::Shared;
use crate::answer::{PayloadFault, Rejection};
use crate::event::{self, AnyEvent, Delivery};
use crate::verify::{Head, HeadFields, Verified};

impl Shared {
    /// An authentic delivery, with its place among those in flight. Where there is an inbox or a dead-letter sink, one whose
    /// envelope cannot be understood is let through with its [fault](AnyEvent::fault).
    pub(super) async fn admit<E>(
        &self,
        head: &impl Head,
        body: Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
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
        let limits =
            body::Limits { bytes: self.body_limit, deadline: arrived + self.read_deadline, readers: &self.readers };
        let body = body::read(body, fields.content_length, limits).await?;
        let verified = self.verifier.finish(&parsed, body, || self.clock.unix_seconds())?;
        let place = self.place()?;
        let event = match self.read(&verified) {
            Err(Rejection::MalformedPayload(fault)) if self.inbox.is_some() || self.dead_letters.is_some() => {
                event::unreadable(&verified, fault)
            }
            read => read?,
        };
        Ok((Delivery::new(Arc::clone(&self.endpoint), event), place))
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Rejection> {
        if self.running.intake_stopped() {
            return Err(Rejection::ShuttingDown);
        }
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Rejection::Overloaded)
    }

    fn read(&self, verified: &Verified<'_, Bytes>) -> Result<AnyEvent, Rejection> {
        let event = event::parse(verified, self.mode != Mode::Any)?;
        self.refuse_old(&event)?;
        Ok(event)
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
