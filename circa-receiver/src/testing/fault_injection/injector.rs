//! Draws the faults of calls from a seed, and injects them.

use std::{
    collections::HashMap,
    fmt,
    future::{Future, pending},
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::call::StoreCall;
use super::faults::{Outage, StoreFault, StoreFaults};
use crate::error::StoreError;
use crate::testing::simulator::Random;

/// The most calls in a row about one event that go wrong.
const IN_A_ROW: usize = 2;

/// Injects faults between a receiver and its dedup store or inbox, for your own handlers against a
/// store that blinks. Clones are the same injector.
///
/// Use it in paused time, with one [`TokioClock`](crate::testing::TokioClock) for the receiver, the
/// store and the simulator. A seed then repeats a story to the last call.
///
/// With [`StoreFaults::all`], one receiver and a handler that fails once at most, a correct
/// application loses nothing and handles everything once, whatever a simulated sender does:
///
/// ```
/// # use circa_receiver::{MemoryStore, Receiver, Secret, testing::{FaultInjector, StoreFaults, TokioClock}};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (secret, clock) = (Secret::new("whsec_test_0123456789abcdef")?, TokioClock::starting_at(1_747_000_800));
/// let injector = FaultInjector::new(1, StoreFaults::all());
/// let store = injector.around(MemoryStore::default().clock(clock));
/// let receiver = Receiver::circa(secret).clock(clock).dedup(store).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FaultInjector {
    world: World,
    process: Arc<Process>,
}

/// What all processes that use the store have in common.
#[derive(Clone)]
struct World {
    seed: u64,
    faults: StoreFaults,
    started: Instant,
    outages: Arc<[Outage]>,
}

/// What one process meets.
struct Process {
    state: Mutex<State>,
    killed: watch::Sender<bool>,
}

struct State {
    random: Random,
    /// How many calls about an event went wrong one after another.
    in_a_row: HashMap<String, usize>,
    calls_until_killed: Option<u64>,
    watcher: Option<Watcher>,
}

type Watcher = Arc<dyn Fn(&StoreCall) + Send + Sync>;

/// A call, as it is about to be made.
pub(super) struct Asked<T> {
    pub(super) operation: &'static str,
    pub(super) event_id: String,
    /// Whether an answer says that the call had its effect.
    pub(super) did: fn(&T) -> bool,
    /// The answer once the process was killed; an error where there is none.
    pub(super) killed: Option<T>,
}

impl Asked<bool> {
    /// A call that only the holder of a claim or a lease may make.
    pub(super) fn fenced(operation: &'static str, event_id: String) -> Self {
        Self { operation, event_id, did: |did| *did, killed: Some(false) }
    }
}

impl<T> Asked<T> {
    /// A call about no event.
    pub(super) fn looking(operation: &'static str) -> Self {
        Self { operation, event_id: String::new(), did: |_| true, killed: None }
    }
}

impl FaultInjector {
    /// An injector whose chance comes from this seed. Outages are counted from now.
    pub fn new(seed: u64, faults: StoreFaults) -> Self {
        let outages = faults.draw_outages(&mut Random::new(seed ^ 0x6f75_7461_6765)).into();
        let world = World { seed, faults, started: Instant::now(), outages };
        Self { process: Arc::new(Process::new(seed)), world }
    }

    /// The injector of another process that uses the same store: it meets the same outages, and
    /// faults of its own, drawn from the seed and this number.
    #[must_use]
    pub fn of_process(&self, number: u64) -> Self {
        let seed = self.world.seed ^ (number + 1).wrapping_mul(0x9e6d_62d0_6f6a_9a9b);
        Self { process: Arc::new(Process::new(seed)), world: self.world.clone() }
    }

    /// Calls `watcher` after every call from now on. A call about no event is reported only where it
    /// went wrong; one that leases several events is reported for each.
    pub fn on_call(&self, watcher: impl Fn(&StoreCall) + Send + Sync + 'static) {
        self.process.lock().watcher = Some(Arc::new(watcher));
    }

    /// When the store is away, since the injector was made.
    pub fn outages(&self) -> Vec<Range<Duration>> {
        self.world.outages.iter().map(|outage| outage.time.clone()).collect()
    }

    /// Kills the process: nothing that it asks reaches the store any more. Fenced calls are
    /// answered as if another process held the claim, so that what is left of it ends.
    pub fn kill(&self) {
        self.process.killed.send_replace(true);
    }

    /// Kills the process at its `calls`-th call from now about an event, counted from 1: before the
    /// call has its effect, or after that and before it is answered, as the seed says. Each event
    /// that is leased counts as a call.
    pub fn kill_at_call(&self, calls: u64) {
        self.process.lock().calls_until_killed = Some(calls);
    }

    /// Resolves once the process was killed.
    pub async fn killed(&self) {
        let mut killed = self.process.killed.subscribe();
        if killed.wait_for(|killed| *killed).await.is_err() {
            pending().await
        }
    }

    /// Whether the process was killed.
    pub fn is_killed(&self) -> bool {
        *self.process.killed.borrow()
    }

    /// Makes a call, or has it fail.
    pub(super) async fn call<T>(
        &self,
        asked: Asked<T>,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = self.draw(&asked.event_id);
        if let Some(StoreFault::Slow(time)) = fault {
            sleep(time).await;
        }
        let fault = if self.is_killed() { Some(StoreFault::Killed) } else { fault };
        let answer = if fault.is_none_or(StoreFault::reaches) { Some(call.await) } else { None };
        let did = answer.as_ref().map(|answer| answer.as_ref().is_ok_and(asked.did));
        if !asked.event_id.is_empty() || fault.is_some() {
            self.tell(StoreCall { operation: asked.operation, event_id: asked.event_id, fault, did });
        }
        match fault {
            Some(StoreFault::Killed | StoreFault::KilledAfter) => self.kill(),
            _ if self.is_killed() => {}
            Some(StoreFault::Error | StoreFault::AnswerLost) => return Err(injected("an injected fault")),
            Some(StoreFault::Hang | StoreFault::AnswerHangs) => pending().await,
            None | Some(StoreFault::Slow(_)) => {
                return answer.unwrap_or_else(|| Err(injected("nothing was called")));
            }
        }
        asked.killed.ok_or_else(|| injected("the process was killed"))
    }

    /// Kills the process if this was the last call that it was to make.
    pub(super) fn count_call(&self) {
        if self.process.lock().is_last_call() {
            self.kill();
        }
    }

    /// Tells the watcher of a call.
    pub(super) fn tell(&self, call: StoreCall) {
        let watcher = self.process.lock().watcher.clone();
        if let Some(watcher) = watcher {
            watcher(&call);
        }
    }

    fn draw(&self, event_id: &str) -> Option<StoreFault> {
        let mut state = self.process.lock();
        if !event_id.is_empty() && state.is_last_call() {
            return Some(if state.random.below(2) == 0 { StoreFault::Killed } else { StoreFault::KilledAfter });
        }
        let now = self.world.started.elapsed();
        if let Some(outage) = self.world.outages.iter().find(|outage| outage.time.contains(&now)) {
            return Some(if outage.hangs { StoreFault::Hang } else { StoreFault::Error });
        }
        let State { random, in_a_row, .. } = &mut *state;
        let drawn = self.world.faults.draw(random);
        let in_a_row = in_a_row.entry(event_id.to_owned()).or_default();
        let fault = drawn.filter(|_| *in_a_row < IN_A_ROW);
        *in_a_row = if fault.is_some() { *in_a_row + 1 } else { 0 };
        fault
    }
}

impl Process {
    fn new(seed: u64) -> Self {
        let random = Random::new(seed);
        let state = State { random, in_a_row: HashMap::new(), calls_until_killed: None, watcher: None };
        Self { state: Mutex::new(state), killed: watch::Sender::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_last_call(&mut self) -> bool {
        let Some(calls) = &mut self.calls_until_killed else { return false };
        *calls = calls.saturating_sub(1);
        let is_last = *calls == 0;
        if is_last {
            self.calls_until_killed = None;
        }
        is_last
    }
}

fn injected(why: &'static str) -> StoreError {
    StoreError::Failed(why.into())
}

impl fmt::Debug for FaultInjector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultInjector")
            .field("seed", &self.world.seed)
            .field("faults", &self.world.faults)
            .finish_non_exhaustive()
    }
}
