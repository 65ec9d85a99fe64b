//! The handlers of all events of a storm: they write into the ledger, take a while, and fail now
//! and then. Run from an inbox, about half of the events book an effect.

use std::{
    env,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use circa_receiver::{AnyEvent, Completion, CompletionError, HandlerError, PortableHandler, Routes};
use tokio::time::sleep;

use super::effects::{Effects, books};
use super::ledger::{End, Ledger, OpenRun};
use super::settings::EVENTS_PER_SECOND;
use crate::{BoxError, random::Random};

/// The variables by which a process of a storm gets its part.
pub(super) const LEDGER: &str = "STORM_LEDGER";
pub(super) const SEED: &str = "STORM_SEED";

/// How many of the newest events count as new.
const NEW: usize = 3 * EVENTS_PER_SECOND;

/// What the handlers of a process share.
#[derive(Clone, Debug)]
pub(super) struct Work {
    ledger: Arc<Ledger>,
    chance: Arc<Mutex<Chance>>,
}

#[derive(Debug)]
struct Chance {
    random: Random,
    /// The number of the newest event that has run here, and when it did.
    newest: Option<(usize, Instant)>,
}

impl Work {
    pub(super) fn from_env() -> Result<Self, BoxError> {
        let ledger = env::var_os(LEDGER).ok_or("STORM_LEDGER is not set")?;
        let seed: u64 = env::var(SEED)?.parse()?;
        let random = Random::new(seed ^ u64::from(std::process::id()));
        let chance = Chance { random, newest: None };
        Ok(Self { ledger: Ledger::open(Path::new(&ledger))?, chance: Arc::new(Mutex::new(chance)) })
    }

    /// A run but for its end. It is closed where it fails.
    async fn begin(&self, event: &AnyEvent) -> Result<OpenRun, BoxError> {
        // Circularo's events have no id: in a storm each has a document of its own.
        let name = event.document_id().unwrap_or_else(|| event.id());
        let run = self.ledger.begin(name)?;
        let (takes, succeeds) = self.draw(name);
        sleep(takes).await;
        if succeeds {
            return Ok(run);
        }
        run.close(End::Failed)?;
        Err("what the handler calls has failed".into())
    }

    /// How long a run takes, and whether it succeeds.
    fn draw(&self, event: &str) -> (Duration, bool) {
        let mut chance = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = chance.is_new(event);
        let random = &mut chance.random;
        let millis = match random.below(100) {
            // Longer than the ack deadline, the drain deadline and the lease.
            0..=2 if is_new => random.between(7_200, 8_500),
            3..=5 => random.between(1_000, 2_000),
            6..=15 => random.between(100, 500),
            _ => random.below(40),
        };
        (Duration::from_millis(millis as u64), !(is_new && random.one_in(20)))
    }
}

impl Chance {
    /// Whether it was sent in the last seconds, as far as this process can tell from its number,
    /// and from the newest event that has run here. An event that is sent again later takes at most
    /// 2 s and succeeds: its last attempts are left for the storm's other faults.
    fn is_new(&mut self, event: &str) -> bool {
        let number = event.rsplit('_').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let since = |at: Instant| (at.elapsed().as_secs_f64() * EVENTS_PER_SECOND as f64) as usize;
        let is_new = self.newest.is_some_and(|(newest, at)| number + NEW >= newest + since(at));
        if self.newest.is_none_or(|(newest, _)| number > newest) {
            self.newest = Some((number, Instant::now()));
        }
        is_new
    }
}

/// What the handlers of a worker share.
#[derive(Clone, Debug)]
pub(super) struct Booking {
    work: Work,
    effects: Effects,
}

impl Booking {
    pub(super) fn new(work: Work, effects: Effects) -> Self {
        Self { work, effects }
    }
}

/// All events are handled alike.
pub(super) fn routes() -> Routes<PortableHandler<Work>> {
    Routes::new().fallback(handle)
}

/// As [`routes`], for a worker: the runs of some events complete themselves.
pub(super) fn booking_routes() -> Routes<PortableHandler<Booking>> {
    Routes::new().fallback(book)
}

async fn handle(event: AnyEvent, work: Work) -> Result<(), HandlerError> {
    Ok(work.begin(&event).await?.close(End::Done)?)
}

async fn book(event: AnyEvent, completion: Completion, booking: Booking) -> Result<(), HandlerError> {
    let run = booking.work.begin(&event).await?;
    let effect = run.effect();
    if !books(&effect.event) {
        return Ok(run.close(End::Done)?);
    }
    let booked = booking.effects.book(effect, completion).await;
    run.close(match &booked {
        Ok(()) => End::Booked,
        Err(error) if matches!(error.downcast_ref(), Some(CompletionError::Lost)) => End::Fenced,
        Err(_) => End::Failed,
    })?;
    Ok(booked?)
}
