//! Checks 1 to 12 of the contract: from the head and the body to an authentic event.

use std::{pin::Pin, sync::Arc};

use bytes::Bytes;
use futures_core::Stream;
use tokio::{runtime::Handle, time::Instant};

use super::body;
use super::config::Mode;
use super::shared::Shared;
use super::stay::Place;
use crate::answer::{PayloadFault, Rejection};
use crate::event::{self, AnyEvent, Delivery};
use crate::verify::{Field, Head, HeadFields, ParsedHead, Verified};

impl Shared {
    /// An authentic delivery, with its place among those in flight. Where there is a dead-letter sink, one whose envelope
    /// cannot be understood is let through with its [fault](AnyEvent::fault).
    pub(super) async fn admit<E>(
        self: &Arc<Self>,
        head: &impl Head,
        body: Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
        arrived: Instant,
    ) -> Result<(Delivery, Place), Rejection> {
        let fields = HeadFields::read(self.verifier.sender(), head);
        if fields.method != "POST" {
            return Err(Rejection::MethodNotAllowed);
        }
        if !fields.identity_encoded {
            return Err(Rejection::UnsupportedContentEncoding);
        }
        let parsed = self.verifier.parse(fields.signed)?;
        let deadline = arrived + self.read_deadline;
        let limits = body::Limits { bytes: self.body_limit, deadline, shared: self };
        let body = body::read(body, fields.content_length, limits).await?;
        let Verified { sender, secret, signed_at, unsigned, .. } = match self.verify(&parsed, &body) {
            Err(Rejection::SignatureMismatch) => {
                self.diagnose(fields.signed.signature, body, arrived);
                return Err(Rejection::SignatureMismatch);
            }
            verified => verified?,
        };
        let verified = Verified { sender, body, secret, signed_at, unsigned };
        let place = self.place()?;
        let event = match self.read(&verified) {
            Err(Rejection::MalformedPayload(fault)) if self.dead_letters.is_some() => {
                event::unreadable(&verified, fault)
            }
            read => read?,
        };
        Ok((Delivery::new(Arc::clone(&self.endpoint), event), place))
    }

    /// Borrows the body: a mismatch leaves it to be diagnosed.
    fn verify<'h, 'b>(&self, parsed: &ParsedHead<'h>, body: &'b Bytes) -> Result<Verified<'h, &'b Bytes>, Rejection> {
        self.verifier.finish(parsed, body, || self.clock.unix_seconds())
    }

    /// Has a mismatch explained to the observers, where that is due.
    fn diagnose(self: &Arc<Self>, signature: Field<'_>, body: Bytes, arrived: Instant) {
        let (Some(diagnosing), Field::One(signature)) = (&self.diagnosing, signature) else { return };
        if !diagnosing.is_due(arrived) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        let (shared, signature) = (Arc::clone(self), signature.to_vec());
        runtime.spawn_blocking(move || {
            let diagnosis = shared.diagnosing.as_ref().and_then(|diagnosing| diagnosing.diagnose(&signature, &body));
            if let Some(diagnosis) = diagnosis {
                shared.observe(|observer| observer.diagnosed(&shared.endpoint, diagnosis));
            }
        });
    }

    fn place(self: &Arc<Self>) -> Result<Place, Rejection> {
        if self.running.intake_stopped() {
            return Err(Rejection::ShuttingDown);
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Rejection::Overloaded)?;
        Ok(self.place_with(permit))
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
