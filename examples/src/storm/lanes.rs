//! Two threads that do what is planned: one to the processes, which it also looks after, and one to
//! the store. So faults of both meet.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use super::crew::Crew;
use super::database::Database;
use super::ledger::now;
use super::plan::{Plan, Planned, ProcessFault, StoreFault};
use crate::{BoxError, random::Random};

/// How often the processes are looked after.
const TENDS_EVERY: Duration = Duration::from_millis(20);
/// The store works for so long at least between two faults: one that never does proves nothing.
const STORE_WORKS: Duration = Duration::from_millis(500);

/// The threads under way.
pub(super) struct Lanes {
    process: JoinHandle<Result<Crew, BoxError>>,
    store: JoinHandle<Result<Database, BoxError>>,
    signs: Arc<Signs>,
}

#[derive(Default)]
struct Signs {
    /// All that was planned for the processes was done.
    is_done: AtomicBool,
    /// Nobody needs the processes any more.
    is_over: AtomicBool,
}

impl Lanes {
    /// Begins, with the times of the plan counted from now.
    pub(super) fn start(crew: Crew, database: Database, plan: Plan, seed: u64) -> Self {
        let (begun, signs) = (now(), Arc::<Signs>::default());
        let process = {
            let signs = Arc::clone(&signs);
            thread::spawn(move || process_lane(crew, plan.process, begun, Random::new(seed), &signs))
        };
        let store = thread::spawn(move || store_lane(database, plan.store, begun));
        Self { process, store, signs }
    }

    /// Whether all that was planned was done.
    pub(super) fn are_done(&self) -> bool {
        self.store.is_finished() && (self.process.is_finished() || self.signs.is_done.load(Ordering::Relaxed))
    }

    /// Ends the processes and the store.
    pub(super) fn end(self) -> Result<(), BoxError> {
        self.signs.is_over.store(true, Ordering::Relaxed);
        let crew = self.process.join().map_err(|_| "the thread of the processes has panicked")??;
        drop(crew);
        let database = self.store.join().map_err(|_| "the thread of the store has panicked")??;
        drop(database);
        Ok(())
    }
}

fn process_lane(
    mut crew: Crew,
    faults: Vec<Planned<ProcessFault>>,
    begun: Duration,
    mut random: Random,
    signs: &Signs,
) -> Result<Crew, BoxError> {
    for Planned { at, fault } in faults {
        while now() < begun + at {
            crew.tend()?;
            thread::sleep(TENDS_EVERY);
        }
        crew.strike(fault, &mut random);
    }
    while !signs.is_over.load(Ordering::Relaxed) {
        crew.tend()?;
        signs.is_done.store(crew.is_up(), Ordering::Relaxed);
        thread::sleep(TENDS_EVERY);
    }
    Ok(crew)
}

fn store_lane(mut database: Database, faults: Vec<Planned<StoreFault>>, begun: Duration) -> Result<Database, BoxError> {
    for Planned { at, fault } in faults {
        thread::sleep((begun + at).saturating_sub(now()).max(STORE_WORKS));
        database.strike(fault)?;
    }
    Ok(database)
}
