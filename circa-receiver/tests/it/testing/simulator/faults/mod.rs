//! The simulated senders against stores and inboxes that blink, and processes that are killed, shut
//! down and begin anew.

mod journal;
mod judge;
mod world;

use std::{sync::Arc, time::Duration};

use circa_receiver::{
    MemoryStore, Sender,
    testing::{CircaSimulator, CircularoSimulator, Disabling, Faults, Ledger, MemoryInbox, StoreFaults, TokioClock},
};

use self::{
    judge::{Judge, Tally},
    world::{Engine, World},
};
use super::{PATH, SECRET, in_virtual_time, seeds};

/// Longer than a lease of 60 s.
const LONG_OUTAGE: Duration = Duration::from_secs(150);

fn store(clock: TokioClock) -> Engine {
    Engine::Store(Arc::new(MemoryStore::default().clock(clock)))
}

fn inbox(clock: TokioClock) -> Engine {
    Engine::Inbox(Arc::new(MemoryInbox::with_clock(clock)))
}

/// Sends everything to a world.
async fn send(world: &World, sender: Sender, seed: u64) -> Ledger {
    let (target, runs) = (world.clone(), world.runs());
    if sender == Sender::CIRCULARO {
        let simulator = CircularoSimulator::new(PATH, SECRET).repeats(1).spread(Duration::from_secs(600), seed);
        return simulator.run(target, runs).await;
    }
    let simulator = CircaSimulator::new(PATH, SECRET).clock(world.clock()).seed(seed).faults(Faults::all()).count(12);
    // Twelve events are too few to disable it: an outage may refuse more attempts than a sender
    // bears.
    simulator.disabling(Disabling::Events).run(target, runs).await
}

/// What is promised to the users of [`StoreFaults::all`]: one process, outages of up to 20 s, and a
/// handler that fails at most once.
fn blinks(sender: Sender, engine: fn(TokioClock) -> Engine, default: u64) {
    for seed in seeds(default) {
        in_virtual_time(seed, async {
            let world = World::new(seed, sender, StoreFaults::all(), engine).failing(1);
            world.start(0);
            let ledger = send(&world, sender, seed).await;
            world.settle().await;
            ledger.assert_nothing_acknowledged_lost();
            ledger.assert_once();
            ledger.assert_nothing_cut_off();
            if sender == Sender::CIRCA {
                ledger.assert_nothing_lost();
                ledger.assert_enabled();
            }
        });
    }
}

#[test]
fn a_store_that_blinks_costs_nothing() {
    blinks(Sender::CIRCA, store, 100);
    blinks(Sender::CIRCULARO, store, 100);
}

#[test]
fn an_inbox_that_blinks_costs_nothing() {
    blinks(Sender::CIRCA, inbox, 10);
    blinks(Sender::CIRCULARO, inbox, 10);
}

/// One simulation: both processes are killed and shut down, and the store is away for longer than a
/// lease.
async fn storm(sender: Sender, engine: fn(TokioClock) -> Engine, seed: u64) -> (Tally, String) {
    let world = World::new(seed, sender, StoreFaults::all().outages(LONG_OUTAGE), engine);
    let ledger = tokio::select! {
        biased;
        () = world.supervise(0) => unreachable!("it supervises for ever"),
        () = world.supervise(1) => unreachable!("it supervises for ever"),
        ledger = send(&world, sender, seed) => ledger,
    };
    world.start(0);
    world.settle().await;
    let outages = world.injector().outages();
    let judge =
        Judge { ledger: &ledger, journal: world.journal(), outages: &outages, over_inbox: world.is_over_inbox() };
    let tally = judge.judge();
    let story = world.journal().lines().iter().map(|line| format!("{line}\n")).collect();
    (tally, story)
}

fn storms(sender: Sender, engine: fn(TokioClock) -> Engine, default: u64) {
    let mut sum = Tally::default();
    for seed in seeds(default) {
        sum.add(&in_virtual_time(seed, storm(sender, engine, seed)).0);
    }
    println!("{sender:?}, {sum:?}");
    // Fewer, where somebody asks for them, may be no storm.
    if seeds(default).count() as u64 >= default {
        // Over a store Circularo's events are not handled twice: nobody sends them again.
        let doubles = sum.doubled > 0 || sum.refused > 0;
        assert!(sum.ends as u64 > default && sum.outages as u64 > default / 2 && doubles, "it is no storm: {sum:?}");
    }
}

/// So many that a store without a fence is found, and a receiver that does not wait for its own
/// runs.
#[test]
fn circa_over_a_store() {
    storms(Sender::CIRCA, store, 300);
}

/// It never retries: what is refused is lost, and nothing else.
#[test]
fn circularo_over_a_store() {
    storms(Sender::CIRCULARO, store, 200);
}

#[test]
fn circa_over_an_inbox() {
    storms(Sender::CIRCA, inbox, 40);
}

#[test]
fn circularo_over_an_inbox() {
    storms(Sender::CIRCULARO, inbox, 40);
}

/// A seed that is told tells the same story again.
#[test]
fn a_seed_repeats_its_story() {
    for (sender, engine) in [(Sender::CIRCA, store as fn(TokioClock) -> Engine), (Sender::CIRCULARO, inbox)] {
        for seed in 0..5 {
            let story = || in_virtual_time(seed, storm(sender, engine, seed)).1;
            assert_eq!(story(), story(), "{sender:?}, seed {seed}");
        }
    }
}
