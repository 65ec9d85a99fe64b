//! Circularo, as far as it is documented: eleven events, sent once; repeats where asked for, no
//! retry.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use http::Request;
use tokio::time::{Instant, sleep, timeout};

use super::{
    HandlerRuns, Ledger, SENDER_TIMEOUT, SimulatedBody, Target,
    faults::Random,
    join::join_all,
    ledger::{Attempt, End, Repetition, Row},
};
use crate::sender::Sender;
use crate::testing::{CircularoSigner, Fixture, fixtures};
use crate::verify::Verifier;

/// Sends Circularo's eleven events to a [`Target`], each once, without retry: what fails is lost.
///
/// Circularo sends no event id: handlers record their runs under
/// [`AnyEvent::id`](crate::AnyEvent::id), the SHA-256 of the body: identical bytes are one event.
#[must_use]
pub struct CircularoSimulator {
    path: String,
    secret: Vec<u8>,
    repeats: usize,
    seed: u64,
    /// Within which the events are sent.
    span: Duration,
}

impl CircularoSimulator {
    /// A sender with one endpoint, at this path and with this secret.
    pub fn new(path: &str, secret: impl AsRef<[u8]>) -> Self {
        Self { path: path.to_owned(), secret: secret.as_ref().to_vec(), repeats: 0, seed: 0, span: Duration::ZERO }
    }

    /// Sends the same bytes so many times more, at the same time: as a tenant's and a team's
    /// webhook do that point to one URL.
    pub fn repeats(mut self, repeats: usize) -> Self {
        self.repeats = repeats;
        self
    }

    /// Sends each event at a time within this span that is drawn from the seed, in whole
    /// milliseconds; all at the same time by default.
    pub fn spread(mut self, span: Duration, seed: u64) -> Self {
        (self.span, self.seed) = (span, seed);
        self
    }

    /// Sends everything.
    pub async fn run(self, target: impl Target, runs: &HandlerRuns) -> Ledger {
        let started = Instant::now();
        let events: Vec<_> = fixtures().into_iter().filter(|event| event.sender() == Sender::CIRCULARO).collect();
        let mut rows: Vec<_> = events.iter().map(|event| self.row(event)).collect();
        let (simulator, target) = (&self, &target);
        let mut random = Random::new(self.seed);
        join_all(events.iter().zip(&mut rows).map(|(event, row)| -> Pin<Box<dyn Future<Output = ()>>> {
            let waits = Duration::from_millis(random.below(simulator.span.as_millis() as u64 + 1));
            Box::pin(async move {
                if !waits.is_zero() {
                    sleep(waits).await;
                }
                let sent_at = started.elapsed();
                let mut copies = Vec::new();
                copies.resize_with(simulator.repeats + 1, || None);
                join_all(copies.iter_mut().map(|copy| -> Pin<Box<dyn Future<Output = ()>>> {
                    Box::pin(async move {
                        let sent = timeout(SENDER_TIMEOUT, target.deliver(simulator.request(event))).await;
                        *copy = sent.ok().flatten();
                    })
                }))
                .await;
                for answer in copies {
                    if answer.as_ref().is_some_and(super::Answer::is_success) {
                        row.end = End::Delivered;
                    }
                    let answer = answer.map_or("none".to_owned(), |answer| answer.status().to_string());
                    row.attempts.push(Attempt { at: sent_at, fault: None, answer });
                }
            })
        }))
        .await;
        Ledger {
            seed: self.seed,
            repetition: if self.span.is_zero() { Repetition::Nothing } else { Repetition::Spread },
            runs: runs.clone(),
            rows,
            named: Vec::new(),
            disabled: Vec::new(),
        }
    }

    fn row(&self, event: &Fixture) -> Row {
        let id = Verifier::dangerous_circularo_unsigned().verify(
            [],
            event.body().to_owned().into_bytes(),
            std::time::SystemTime::UNIX_EPOCH,
        );
        let id = id.and_then(crate::verify::Verified::event).expect("fixtures are valid events").id().to_owned();
        Row { path: self.path.clone(), run_id: id, attempts: Vec::new(), end: End::Dropped }
    }

    fn request(&self, event: &Fixture) -> Request<SimulatedBody> {
        Request::post(&self.path)
            .header("content-type", "application/json")
            .header("content-length", event.body().len())
            .header(
                Sender::CIRCULARO.signature_header(),
                CircularoSigner::new(&self.secret).sign(event.body().as_bytes()),
            )
            .body(SimulatedBody::whole(event.body().to_owned()))
            .expect("the path was given as one of a URI")
    }
}

impl fmt::Debug for CircularoSimulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircularoSimulator")
            .field("path", &self.path)
            .field("repeats", &self.repeats)
            .finish_non_exhaustive()
    }
}
