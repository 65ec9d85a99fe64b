//! Dedup: one run per event, whatever comes at once, again, elsewhere or while the store fails:
//! contract, section 7.

mod at_once;
mod elsewhere;
mod lease;
mod nonces;
mod repeats;
mod settling;
mod store_failure;

use std::{sync::Arc, time::Duration};

use circa_receiver::{DedupStore, ReceiverBuilder, testing::CircaSigner};
use tokio::time::Instant;

use crate::support::receiving::{Endpoint, Gate, NOW, Request, SECRET, ScriptedStore, circa, seconds};

const RETENTION: Duration = Duration::from_secs(72 * 3_600);

/// Two receivers, as in two processes, on one store.
fn two_processes(store: &ScriptedStore, first: &Gate, second: &Gate) -> [Endpoint; 2] {
    let store: Arc<dyn DedupStore> = Arc::new(store.clone());
    [first, second].map(|gate| Endpoint::new(circa().dedup(Arc::clone(&store)), gate.routes()))
}

fn with_store(builder: ReceiverBuilder, gate: &Gate) -> (Endpoint, ScriptedStore) {
    let store = ScriptedStore::memory();
    (Endpoint::new(builder.dedup(store.clone()), gate.routes()), store)
}

/// The same event, signed for as long after `start` as it is now.
fn again(start: Instant) -> Request {
    let at = NOW + i64::try_from(start.elapsed().as_secs()).unwrap();
    Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), at)
}

/// The clock of the tests goes with tokio's: what the tests above rely on.
#[tokio::test(start_paused = true)]
async fn the_clock_of_these_tests_moves_with_tokios() {
    use circa_receiver::Clock;
    let clock = circa_receiver::testing::TokioClock::starting_at(NOW);
    tokio::time::advance(seconds(61)).await;
    assert_eq!((clock.unix_seconds(), clock.monotonic()), (Ok(NOW + 61), seconds(61)));
}
