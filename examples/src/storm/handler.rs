//! The handlers of all events of a storm: they write into the ledger, take a while, and fail now
//! and then. Run from an inbox, about half of the events book an effect.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use circa_receiver::{AnyEvent, Completion, CompletionError, HandlerError, PortableHandler, Routes};
use tokio::time::sleep;

use super::effects::{Effects, books};
use super::ledger::{End, Ledger, OpenRun};
use crate::{BoxError, random::Random};

/// The variables by which a process of a storm gets its part.
pub(super) const LEDGER: &str = "STORM_LEDGER";
pub(super) const SEED: &str = "STORM_SEED";

/// What the handlers of a process share.
#[derive(Clone, Debug)]
pub(super) struct Work {
    ledger: Arc<Ledger>,
    random: Arc<Mutex<Random>>,
    /// A file for each event that has failed, or taken long, in whatever process. It does so once
    /// at most: seven attempts must be enough for a sender, whatever else is done to them.
    delayed: Arc<Path>,
}

impl Work {
    pub(super) fn from_env() -> Result<Self, BoxError> {
        let ledger = env::var_os(LEDGER).ok_or("STORM_LEDGER is not set")?;
        let seed: u64 = env::var(SEED)?.parse()?;
        let random = Random::new(seed ^ u64::from(std::process::id()));
        let delayed = PathBuf::from(&ledger).with_extension("delayed");
        fs::create_dir_all(&delayed)?;
        Ok(Self {
            ledger: Ledger::open(Path::new(&ledger))?,
            random: Arc::new(Mutex::new(random)),
            delayed: delayed.into(),
        })
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
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let (chance, fails, short) = (random.below(100), random.one_in(20), random.below(40));
        let is_delayed = (fails || chance < 3) && fs::File::create_new(self.delayed.join(event)).is_ok();
        let millis = match chance {
            // Longer than the ack deadline, the drain deadline and the lease.
            0..=2 if is_delayed => random.between(7_200, 8_500),
            3..=5 => random.between(1_000, 2_000),
            6..=15 => random.between(100, 500),
            _ => short,
        };
        (Duration::from_millis(millis as u64), !(fails && is_delayed))
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
