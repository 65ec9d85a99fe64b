//! The handler of all events of a storm: it writes into the ledger, takes a while, and fails now
//! and then.

use std::{
    env, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use circa_receiver::{AnyEvent, HandlerError, PortableHandler, Routes};
use tokio::time::sleep;

use super::ledger::{End, Ledger};
use crate::{BoxError, random::Random};

/// The variables by which a process of a storm gets its part.
pub(super) const LEDGER: &str = "STORM_LEDGER";
pub(super) const SEED: &str = "STORM_SEED";

/// What the handlers of a process share.
#[derive(Clone, Debug)]
pub(super) struct Work {
    ledger: Arc<Ledger>,
    random: Arc<Mutex<Random>>,
}

impl Work {
    pub(super) fn from_env() -> Result<Self, BoxError> {
        let ledger = env::var_os(LEDGER).ok_or("STORM_LEDGER is not set")?;
        let seed: u64 = env::var(SEED)?.parse()?;
        let random = Random::new(seed ^ u64::from(std::process::id()));
        Ok(Self { ledger: Ledger::open(Path::new(&ledger))?, random: Arc::new(Mutex::new(random)) })
    }

    /// How long a run takes, and whether it succeeds.
    fn draw(&self) -> (Duration, bool) {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = match random.below(100) {
            // Longer than the ack deadline, the drain deadline and the lease.
            0..=2 => random.between(5_200, 6_500),
            3..=5 => random.between(1_000, 2_000),
            6..=15 => random.between(100, 500),
            _ => random.below(40),
        };
        (Duration::from_millis(millis as u64), !random.one_in(20))
    }
}

/// All events are handled alike.
pub(super) fn routes() -> Routes<PortableHandler<Work>> {
    Routes::new().fallback(handle)
}

async fn handle(event: AnyEvent, work: Work) -> Result<(), HandlerError> {
    // Circularo's events have no id: in a storm each has a document of its own.
    let run = work.ledger.begin(event.document_id().unwrap_or_else(|| event.id()))?;
    let (takes, succeeds) = work.draw();
    sleep(takes).await;
    run.close(if succeeds { End::Done } else { End::Failed })?;
    if succeeds { Ok(()) } else { Err(io::Error::other("what the handler calls has failed"))? }
}
