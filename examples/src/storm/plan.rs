//! Which faults there are, and when: drawn from the seed.

use std::time::Duration;

use super::options::{Options, StoreKind};
use super::settings::{FAULTS_UNTIL, LEASE};
use crate::random::Random;

/// What is done to a process. Which one is drawn when it is done, among those that run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ProcessFault {
    /// `kill -9`; it is started again after so long.
    Kill(Duration),
    /// SIGTERM; it is started again when it has ended.
    Terminate,
    /// SIGSTOP, and SIGCONT after so long.
    Freeze(Duration),
}

/// What is done to the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StoreFault {
    /// `kill -9`; started again after so long.
    Kill(Duration),
    Freeze(Duration),
    /// For so long it stands still most of the time.
    Slow(Duration),
    /// Another holds a lock that every write needs.
    Lock(Duration),
    Disconnect,
    ForgetScripts,
    FillDisk(Duration),
}

/// A fault, and when it begins, counted from the first event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Planned<F> {
    pub(super) at: Duration,
    pub(super) fault: F,
}

/// All faults of a storm.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) process: Vec<Planned<ProcessFault>>,
    pub(super) store: Vec<Planned<StoreFault>>,
}

impl Plan {
    pub(super) fn draw(options: &Options, has_tmpfs: bool) -> Self {
        let mut random = Random::new(options.seed);
        let time = options.duration().mul_f64(FAULTS_UNTIL);
        let process = process_faults(options.kills, &mut random);
        let mut store = spread(store_faults(options, has_tmpfs, &mut random), time, 1.0, &mut random);
        // They begin at least half a part apart, 30 s with 20,000 events and 30 kills: a sender all
        // of whose attempts meet standstills proves nothing.
        store.extend(spread(long_store_faults(options, &mut random), time, 0.5, &mut random));
        store.sort_by_key(|planned| planned.at);
        Self { process: spread(process, time, 1.0, &mut random), store }
    }
}

fn process_faults(kills: usize, random: &mut Random) -> Vec<ProcessFault> {
    let mut faults = Vec::new();
    faults.extend((0..kills).map(|_| ProcessFault::Kill(millis(random, 50, 1_000))));
    faults.extend((0..1 + kills / 4).map(|_| ProcessFault::Terminate));
    faults.extend((0..1 + kills / 3).map(|_| ProcessFault::Freeze(millis(random, 100, 1_500))));
    faults.extend((0..1 + kills / 10).map(|_| ProcessFault::Freeze(beyond_lease(random))));
    faults
}

fn store_faults(options: &Options, has_tmpfs: bool, random: &mut Random) -> Vec<StoreFault> {
    let Options { kills, store, .. } = *options;
    let mut faults = vec![StoreFault::Lock(millis(random, 300, 2_000)); 1 + kills / 8];
    if store == StoreKind::Sqlite {
        faults.extend(
            (0..1 + kills / 15).filter(|_| has_tmpfs).map(|_| StoreFault::FillDisk(millis(random, 300, 2_000))),
        );
        return faults;
    }
    faults.extend((0..(kills / 15).max(1)).map(|_| StoreFault::Kill(millis(random, 0, 1_000))));
    faults.extend((0..1 + kills / 6).map(|_| StoreFault::Freeze(millis(random, 200, 1_500))));
    faults.extend((0..1 + kills / 10).map(|_| StoreFault::Slow(millis(random, 500, 2_000))));
    let own = if store == StoreKind::Redis { StoreFault::ForgetScripts } else { StoreFault::Disconnect };
    faults.extend((0..1 + kills / 4).map(|_| own));
    faults
}

/// Longer than the lease, from 15 kills on.
fn long_store_faults(options: &Options, random: &mut Random) -> Vec<StoreFault> {
    let Options { kills, store, .. } = *options;
    let mut faults: Vec<_> = (0..kills / 15).map(|_| StoreFault::Lock(beyond_lease(random))).collect();
    if store != StoreKind::Sqlite {
        faults.extend((0..kills / 15).map(|_| StoreFault::Freeze(beyond_lease(random))));
    }
    faults
}

fn millis(random: &mut Random, least: usize, most: usize) -> Duration {
    Duration::from_millis(random.between(least, most) as u64)
}

fn beyond_lease(random: &mut Random) -> Duration {
    LEASE + millis(random, 500, 1_500)
}

/// Shuffles the faults and divides the time into as many equal parts. Each begins at random within
/// this share of its part, from the part's begin.
fn spread<F>(mut faults: Vec<F>, time: Duration, share: f64, random: &mut Random) -> Vec<Planned<F>> {
    random.shuffle(&mut faults);
    let part = time / faults.len().max(1) as u32;
    let begin = |(number, fault)| {
        let at = part * number as u32 + part.mul_f64(share * random.below(1_000) as f64 / 1_000.0);
        Planned { at, fault }
    };
    faults.into_iter().enumerate().map(begin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::options::Mode;

    fn options(store: StoreKind, seed: u64) -> Options {
        Options { mode: Mode::Dedup, store, events: 20_000, kills: 30, seed }
    }

    #[test]
    fn the_seed_decides_everything() {
        let plans = [1, 1, 2].map(|seed| Plan::draw(&options(StoreKind::Postgres, seed), false));
        let [first, same, other] = plans.map(|plan| format!("{plan:?}"));
        assert_eq!(first, same);
        assert_ne!(first, other);
    }

    #[test]
    fn what_is_asked_for_is_planned() {
        let plan = Plan::draw(&options(StoreKind::Redis, 1), false);
        let kills = plan.process.iter().filter(|planned| matches!(planned.fault, ProcessFault::Kill(_)));
        assert_eq!(kills.count(), 30);
        let killed = plan.store.iter().filter(|planned| matches!(planned.fault, StoreFault::Kill(_)));
        assert!(killed.count() >= 2);
        let time = options(StoreKind::Redis, 1).duration();
        assert!(
            plan.process.iter().all(|planned| planned.at < time) && plan.store.iter().all(|planned| planned.at < time)
        );
        assert!(plan.process.is_sorted_by_key(|planned| planned.at));
    }

    #[test]
    fn standstills_beyond_the_lease_are_apart() {
        for seed in 0..100 {
            let plan = Plan::draw(&options(StoreKind::Redis, seed), false);
            assert!(plan.store.is_sorted_by_key(|planned| planned.at), "seed {seed}");
            let long = |fault| matches!(fault, StoreFault::Lock(time) | StoreFault::Freeze(time) if time > LEASE);
            let long: Vec<_> =
                plan.store.iter().filter(|planned| long(planned.fault)).map(|planned| planned.at).collect();
            assert_eq!(long.len(), 4, "seed {seed}");
            assert!(long.windows(2).all(|pair| pair[1] - pair[0] >= 4 * LEASE), "seed {seed}: {long:?}");
        }
    }
}
