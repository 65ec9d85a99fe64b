//! The judge of effects: each is booked once, and by a run that completed its event with it.
//!
//! 1. *doubled*: an event with more than one effect;
//! 2. *missing*: an event that books, and of which a run succeeded whose effect is not there.

use std::collections::{BTreeMap, BTreeSet};

use super::effects::{Effect, books};
use super::ledger::{End, Run};

/// What was booked.
#[derive(Debug, Default)]
pub(super) struct Bookings {
    pub(super) booked: usize,
    pub(super) doubled: BTreeSet<String>,
    pub(super) missing: BTreeSet<String>,
}

impl Bookings {
    /// Holds the effects against the runs as they were written down.
    pub(super) fn of(runs: &[Run], effects: &[Effect]) -> Self {
        let mut counts = BTreeMap::<&str, usize>::new();
        for effect in effects {
            *counts.entry(&effect.event).or_default() += 1;
        }
        let booking = booking(effects);
        let is_missing = |run: &&Run| run.is_done() && books(&run.event) && !booking.contains(&(run.pid, run.number));
        Self {
            booked: effects.len(),
            doubled: counts.into_iter().filter(|(_, count)| *count > 1).map(|(event, _)| event.to_owned()).collect(),
            missing: runs.iter().filter(is_missing).map(|run| run.event.clone()).collect(),
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.doubled.is_empty() && self.missing.is_empty()
    }
}

/// The runs, with what their effects say of their ends: where a process ended behind its commit, or
/// the answer to that was lost, it did not write down that the run was completed.
pub(super) fn with_effects(runs: &[Run], effects: &[Effect]) -> Vec<Run> {
    let booking = booking(effects);
    let mut runs = runs.to_vec();
    for run in runs.iter_mut().filter(|run| booking.contains(&(run.pid, run.number))) {
        run.ended = Some((run.ended.map_or(run.begun, |(at, _)| at), End::Booked));
    }
    runs
}

/// The runs that have booked, by their processes and numbers.
fn booking(effects: &[Effect]) -> BTreeSet<(u32, u64)> {
    effects.iter().map(|effect| (effect.pid, effect.run)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::storm::incident::{Incident, What, Whom};
    use crate::storm::judge::{Evidence, Sent, Verdict, judge};
    use crate::storm::ledger::parse;

    /// An event that books.
    const EVENT: &str = "b";
    const BOOKED: &str = "begin b 0 7 1000, book b 0 7 1100";
    /// A run whose process was killed, and another one.
    const CUT: &str = "begin b 0 7 1000, begin b 0 8 9000, book b 0 8 9100";

    /// Judges one event by a ledger in milliseconds and the processes that have booked effects of
    /// it, after process 7 was killed.
    fn judged(ledger: &str, booked_by: &[u32]) -> Verdict {
        let lines = ledger.split(", ").map(|line| format!("{line}000\n"));
        let runs = parse(&lines.collect::<String>());
        let effect = |pid: &u32| Effect { event: EVENT.to_owned(), pid: *pid, run: 0 };
        let effects: Vec<Effect> = booked_by.iter().map(effect).collect();
        let sent = [Sent { event: EVENT.to_owned(), is_retried: true, is_answered: true }];
        let whom = Whom::Process { name: "worker-1".to_owned(), pid: 7 };
        let [from, until] = [1_101, 1_102].map(Duration::from_millis);
        let incidents = [Incident { what: What::Killed, whom, from, until }];
        let (sent_again, stuck) = (Duration::from_secs(60), BTreeSet::new());
        let (sent, runs, incidents, effects) = (&sent, &runs, &incidents, Some(&effects[..]));
        judge(Evidence { sent, runs, incidents, effects, sent_again, stuck })
    }

    #[test]
    fn every_effect_is_booked_once() {
        assert!(books(EVENT));
        for (name, ledger, booked_by, is_good) in [
            ("booked", BOOKED, &[7][..], true),
            ("missing", BOOKED, &[], false),
            ("booked by another run alone", BOOKED, &[8], false),
            ("doubled by one run", BOOKED, &[7, 7], false),
            ("doubled by two runs", CUT, &[7, 8], false),
            ("killed before the commit", CUT, &[8], true),
            ("killed behind the commit", "begin b 0 7 1000", &[7], true),
            ("the answer to the commit lost", "begin b 0 7 1000, fail b 0 7 1100", &[7], true),
            ("killed behind the commit, and run again", "begin b 0 7 1000, begin b 0 8 9000", &[7], false),
            ("completed without its effect", "begin b 0 7 1000, end b 0 7 1100", &[], false),
            ("fenced, and never run again", "begin b 0 7 1000, fence b 0 7 1100", &[], false),
            (
                "not of an event that books",
                "begin a 0 7 1000, end a 0 7 1100, begin b 0 8 10, book b 0 8 20",
                &[8],
                true,
            ),
        ] {
            assert_eq!(judged(ledger, booked_by).is_good(), is_good, "{name}");
        }
    }

    #[test]
    fn doubled_and_missing_effects_are_named() {
        let doubled = judged(CUT, &[7, 8]).bookings.unwrap_or_default();
        assert_eq!((doubled.booked, doubled.doubled.len(), doubled.missing.len()), (2, 1, 0));
        let missing = judged(BOOKED, &[]).bookings.unwrap_or_default();
        assert_eq!((missing.booked, missing.doubled.len(), missing.missing.len()), (0, 0, 1));
    }
}
