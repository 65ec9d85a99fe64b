//! Checks 1 to 12 of the contract: from the head and the body to an authentic event.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
};

use bytes::Bytes;
use futures_core::Stream;
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::body;
use super::config::Mode;
use super::readers::Reader;
use super::shared::Shared;
use super::stay::Place;
use super::tenants::{Tenant, Tenants};
use crate::answer::{PayloadFault, Rejection};
use crate::error::BoxError;
use crate::event::{self, AnyEvent, Delivery};
use crate::verify::{Field, Head, HeadFields, ParsedHead, Verified};

/// Why a request is refused, and the tenant whose signature it has.
pub(super) struct Refused {
    pub(super) tenant: Option<Arc<Tenant>>,
    pub(super) rejection: Rejection,
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self { tenant: None, rejection }
    }
}

impl Shared {
    /// An authentic delivery, with its place among those in flight. Where there is an inbox or a
    /// dead-letter sink, one whose envelope cannot be understood is let through with its
    /// [fault](AnyEvent::fault).
    pub(super) async fn admit<E>(
        self: &Arc<Self>,
        head: &impl Head,
        body: Pin<&mut impl Stream<Item = Result<Bytes, E>>>,
        arrived: Instant,
    ) -> Result<(Delivery, Place), Refused> {
        let (parsed, content_length) = self.check_head(head)?;
        let deadline = arrived + self.read_deadline;
        let body::Read { bytes, capacity, reader } = body::read(self, body, content_length, deadline).await?;
        let (verified, tenant) = match &self.tenants {
            None => (self.verify(&parsed, bytes, arrived)?, None),
            Some(tenants) => {
                let verified = Box::pin(self.verify_for(tenants, head.tenant(), &parsed, bytes));
                let verified = timeout_at(arrived + self.ack_deadline, self.as_reader(reader, capacity, verified));
                let (verified, tenant) = verified.await.unwrap_or(Err(Rejection::SecretsUnavailable))??;
                (verified, Some(tenant))
            }
        };
        let refused = |rejection| Refused { tenant: tenant.clone(), rejection };
        let place = self.place().map_err(refused)?;
        let event = match self.read(&verified) {
            Err(Rejection::MalformedPayload(fault)) if self.inbox.is_some() || self.dead_letters.is_some() => {
                event::unreadable(&verified, fault)
            }
            read => read.map_err(refused)?,
        };
        let delivery = match tenant {
            None => Delivery::new(Arc::clone(&self.endpoint), event),
            Some(tenant) => tenant.delivery(event),
        };
        Ok((delivery, place))
    }

    /// What can be judged before the body is there; with it, the announced length.
    fn check_head<'h>(&self, head: &'h impl Head) -> Result<(ParsedHead<'h>, Option<u64>), Rejection> {
        let fields = HeadFields::read(self.verifier.sender(), head);
        if fields.method != "POST" {
            return Err(Rejection::MethodNotAllowed);
        }
        if !fields.identity_encoded {
            return Err(Rejection::UnsupportedContentEncoding);
        }
        Ok((self.verifier.parse(fields.signed)?, fields.content_length))
    }

    /// Does what a whole body of this capacity may have to wait for. Nobody has proved anything yet,
    /// so it keeps its place among the readers, or gets one where it really has to wait, and ends
    /// when it is evicted (contract, section 1a).
    async fn as_reader<F: Future + Unpin>(
        &self,
        reader: Option<Reader>,
        capacity: usize,
        mut work: F,
    ) -> Result<F::Output, Rejection> {
        if let Poll::Ready(done) = poll_fn(|cx| Poll::Ready(Pin::new(&mut work).poll(cx))).await {
            return Ok(done);
        }
        let reader = reader.unwrap_or_else(|| self.readers.register(capacity));
        reader.hold(capacity);
        reader.unless_evicted(work).await.ok_or(Rejection::Overloaded)
    }

    /// Verifies with the secrets of a tenant, which are looked up again where none of them fits.
    async fn verify_for<'h>(
        &self,
        tenants: &Tenants,
        name: Option<&str>,
        parsed: &ParsedHead<'h>,
        body: Bytes,
    ) -> Result<(Verified<'h, Bytes>, Arc<Tenant>), Refused> {
        let tell = |error: &BoxError| self.observe(|observer| observer.secrets_not_read(&self.endpoint, error));
        let now = || self.clock.unix_seconds();
        let mut tenant = tenants.find(name, tell).await?.ok_or(Rejection::SignatureMismatch)?;
        let mut verified = tenant.verifier.finish(parsed, body.clone(), now);
        if let Err(Rejection::SignatureMismatch) = verified {
            tenant = tenants.find_newer(&tenant, tell).await.ok_or(Rejection::SignatureMismatch)?;
            verified = tenant.verifier.finish(parsed, body, now);
        }
        match verified {
            Ok(verified) => Ok((verified, tenant)),
            Err(Rejection::SignatureMismatch) => Err(Rejection::SignatureMismatch.into()),
            Err(rejection) => Err(Refused { tenant: Some(tenant), rejection }),
        }
    }

    /// Verifies with the receiver's own secrets. A mismatch is explained to the observers, where
    /// that is due.
    fn verify<'h>(
        self: &Arc<Self>,
        parsed: &ParsedHead<'h>,
        body: Bytes,
        arrived: Instant,
    ) -> Result<Verified<'h, Bytes>, Rejection> {
        match self.verifier.finish(parsed, body.clone(), || self.clock.unix_seconds()) {
            Err(Rejection::SignatureMismatch) => {
                self.diagnose(parsed.signature_header, body, arrived);
                Err(Rejection::SignatureMismatch)
            }
            verified => verified,
        }
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
