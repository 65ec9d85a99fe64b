//! The judge: from what was sent and answered, what the handlers did and what was done to them, to
//! what was lost, what is stuck, and what was handled twice without a reason.
//!
//! 1. *lost*: an event that was answered 2xx, or whose sender retries, and that was not handled to
//!    its end before everything was sent once more;
//! 2. *stuck*: an event that was still not answered 2xx when it was sent once more, long after all
//!    leases had lapsed, or that nobody runs;
//! 3. *double*: a run that did not say that it failed, and was followed by another of its event.
//!    It is explained by the end of its process before it could mark the event, or by a standstill
//!    of its process or of the store for so long that its lease may have lapsed;
//!    Nothing explains it where the run was completed together with its effect;
//! 4. *disorder*: a process that did not end at SIGTERM, or that ended by itself;
//! 5. what `bookings` says of the effects.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::bookings::{Bookings, with_effects};
use super::effects::Effect;
use super::incident::{Incident, What, Whom};
use super::ledger::{End, Run};
use super::settings::{MARKED_WITHIN, MAY_LAPSE_AFTER};

/// An event as its sender knows it.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) event: String,
    /// It is sent again until it is answered 2xx; else it is sent once.
    pub(super) is_retried: bool,
    /// Some delivery of it was answered 2xx.
    pub(super) is_answered: bool,
}

/// What there is to judge.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub(super) sent: &'a [Sent],
    pub(super) runs: &'a [Run],
    pub(super) incidents: &'a [Incident],
    /// `None` where runs cannot book any.
    pub(super) effects: Option<&'a [Effect]>,
    /// When everything was sent once more.
    pub(super) sent_again: Duration,
    /// The events that were stuck then.
    pub(super) stuck: BTreeSet<String>,
}

/// A run that was followed by another of its event.
#[derive(Clone, Debug)]
pub(super) struct Double {
    pub(super) run: Run,
    pub(super) again: Run,
    /// What explains it.
    pub(super) causes: Vec<Incident>,
}

/// The judgement.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) once: usize,
    /// Handled, and one of its runs had not said that it failed before.
    pub(super) again: usize,
    pub(super) lost: Vec<String>,
    pub(super) stuck: BTreeSet<String>,
    pub(super) doubles: Vec<Double>,
    /// Processes that did not end after SIGTERM, and those that ended without a signal after they
    /// had run handlers.
    pub(super) disorders: Vec<Incident>,
    pub(super) bookings: Option<Bookings>,
}

impl Verdict {
    pub(super) fn unexplained(&self) -> impl Iterator<Item = &Double> {
        self.doubles.iter().filter(|double| double.causes.is_empty())
    }

    pub(super) fn is_good(&self) -> bool {
        self.lost.is_empty()
            && self.stuck.is_empty()
            && self.disorders.is_empty()
            && self.unexplained().next().is_none()
            && self.bookings.as_ref().is_none_or(Bookings::is_good)
    }
}

pub(super) fn judge(evidence: Evidence<'_>) -> Verdict {
    let Evidence { sent, runs, incidents, effects, sent_again, stuck } = evidence;
    let bookings = effects.map(|effects| Bookings::of(runs, effects));
    let runs = with_effects(runs, effects.unwrap_or_default());
    let mut by_event = BTreeMap::<&str, Vec<&Run>>::new();
    for run in &runs {
        by_event.entry(&run.event).or_default().push(run);
    }
    let mut verdict = Verdict { stuck, bookings, ..Verdict::default() };
    for event in sent {
        let runs = by_event.get(event.event.as_str()).map_or(&[][..], Vec::as_slice);
        let is_handled = runs.iter().any(|run| run.begun < sent_again && run.is_done());
        if !is_handled && (event.is_retried || event.is_answered) {
            let why = if event.is_answered { "" } else { " (no attempt was answered 2xx)" };
            verdict.lost.push(format!("{}{why}", event.event));
        }
        let doubles: Vec<Double> = doubles(runs, incidents).collect();
        verdict.once += usize::from(is_handled && doubles.is_empty());
        verdict.again += usize::from(!doubles.is_empty());
        verdict.doubles.extend(doubles);
    }
    let is_disorder = |incident: &&Incident| match incident.what {
        What::DidNotEnd => true,
        What::EndedByItself => runs.iter().any(|run| incident.is_of(run.pid)),
        _ => false,
    };
    verdict.disorders = incidents.iter().filter(is_disorder).cloned().collect();
    verdict
}

/// The runs of one event that should not have been followed by another.
fn doubles<'a>(runs: &'a [&Run], incidents: &'a [Incident]) -> impl Iterator<Item = Double> + 'a {
    let pairs = runs.windows(2).filter(|pair| !matches!(pair[0].ended, Some((_, End::Failed))));
    pairs.map(|pair| {
        let (run, again) = (pair[0].clone(), pair[1].clone());
        let causes = causes(&run, again.begun, incidents);
        Double { run, again, causes }
    })
}

/// Why another run of the event began at `again`, though this one had not failed.
fn causes(run: &Run, again: Duration, incidents: &[Incident]) -> Vec<Incident> {
    // Until when the event was not yet marked done. What came later has not hurt this run.
    let unmarked_until = match run.ended {
        // It was completed by then, whatever happened.
        Some((_, End::Booked)) => return vec![],
        Some((at, End::Done)) => at + MARKED_WITHIN,
        _ => again,
    };
    let meanwhile = |incident: &&Incident| incident.from <= again && incident.until >= run.begun;
    let near: Vec<&Incident> = incidents.iter().filter(meanwhile).collect();
    let standstills: Vec<&Incident> = near
        .iter()
        .copied()
        .filter(|incident| incident.is_of(run.pid) || incident.whom == Whom::Store)
        .filter(|incident| incident.is_standstill() && incident.from <= unmarked_until)
        .collect();
    let longest = standstills.iter().copied().max_by_key(|incident| incident.until.saturating_sub(incident.from));
    let end = near.iter().copied().find(|incident| incident.is_of(run.pid) && is_told_to_end(incident));
    // A process that ends in order marks what it has handled.
    let marks = |end: &Incident| end.what == What::Terminated && run.is_done();
    let is_hindered =
        |end: &Incident| standstills.iter().any(|standstill| standstill.until + MARKED_WITHIN >= end.from);
    let causes = match (end, longest) {
        (Some(end), _) if end.from <= unmarked_until && !marks(end) => vec![end],
        (Some(end), Some(longest)) if is_hindered(end) => vec![end, longest],
        (_, Some(longest)) if total(&standstills, run.begun, again) >= MAY_LAPSE_AFTER => vec![longest],
        _ => vec![],
    };
    causes.into_iter().cloned().collect()
}

/// A process that ends by itself is no reason for anything.
fn is_told_to_end(incident: &Incident) -> bool {
    incident.is_end() && incident.what != What::EndedByItself
}

/// How long it stood still between two times, overlaps counted once.
fn total(standstills: &[&Incident], from: Duration, until: Duration) -> Duration {
    let mut spans: Vec<(Duration, Duration)> =
        standstills.iter().map(|incident| (incident.from.max(from), incident.until.min(until))).collect();
    spans.sort();
    let (mut total, mut counted_until) = (Duration::ZERO, Duration::ZERO);
    for (from, until) in spans {
        total += until.saturating_sub(from.max(counted_until));
        counted_until = counted_until.max(until);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::ledger::parse;

    const SENT_AGAIN: Duration = Duration::from_secs(60);
    /// A run that does not end, and another one.
    const CUT: &str = "begin a 0 7 1000, begin a 0 8 9000, end a 0 8 9100";
    /// A run that succeeds, and another one.
    const DONE: &str = "begin a 0 7 1000, end a 0 7 1100, begin a 0 8 9000, end a 0 8 9100";

    /// Judges one event, `a`, by a ledger in milliseconds, whose processes are named by their pids.
    fn judged(ledger: &str, (is_retried, is_answered): (bool, bool), incidents: &[Incident]) -> Verdict {
        let lines = ledger.split(", ").map(|line| format!("{line}000\n"));
        let runs = parse(&lines.collect::<String>());
        let sent = [Sent { event: "a".to_owned(), is_retried, is_answered }];
        let stuck = BTreeSet::new();
        judge(Evidence { sent: &sent, runs: &runs, incidents, effects: None, sent_again: SENT_AGAIN, stuck })
    }

    fn incident(what: What, pid: Option<u32>, from: u64, until: u64) -> Incident {
        let whom = pid.map_or(Whom::Store, |pid| Whom::Process { name: "receiver-1".to_owned(), pid });
        Incident { what, whom, from: Duration::from_millis(from), until: Duration::from_millis(until) }
    }

    #[test]
    fn what_was_not_handled_is_lost() {
        let (retried, once, unanswered) = ((true, true), (false, true), (false, false));
        for (name, ledger, sent, is_lost) in [
            ("handled", "begin a 0 7 10, end a 0 7 20", retried, false),
            ("answered, and never run", "", once, true),
            ("answered, and failed", "begin a 0 7 10, fail a 0 7 20", once, true),
            ("answered, and cut off", "begin a 0 7 10, cut a 0 7 20", once, true),
            ("answered, and not ended", "begin a 0 7 10", once, true),
            ("of another event", "begin b 0 7 10, end b 0 7 20", once, true),
            ("only when it was sent once more", "begin a 0 7 61000, end a 0 7 61010", once, true),
            ("retried, and given up", "", (true, false), true),
            ("sent once, and refused", "", unanswered, false),
        ] {
            let verdict = judged(ledger, sent, &[]);
            assert_eq!((!verdict.lost.is_empty(), verdict.is_good()), (is_lost, !is_lost), "{name}");
        }
    }

    #[test]
    fn what_is_stuck_is_not_good() {
        let sent = [Sent { event: "a".to_owned(), is_retried: false, is_answered: false }];
        let stuck = BTreeSet::from(["a".to_owned()]);
        let (runs, incidents, effects) = (&[], &[], None);
        let evidence = Evidence { sent: &sent, runs, incidents, effects, sent_again: SENT_AGAIN, stuck };
        assert!(!judge(evidence).is_good());
    }

    #[test]
    fn processes_end_when_they_are_told_to() {
        for (name, incident, is_good) in [
            ("one that does not end", incident(What::DidNotEnd, Some(7), 10, 20_000), false),
            ("one that ends by itself", incident(What::EndedByItself, Some(7), 20, 20), false),
            ("one that could not start", incident(What::EndedByItself, Some(8), 20, 20), true),
            ("one that is told to end", incident(What::Terminated, Some(7), 10, 2_000), true),
        ] {
            let verdict = judged("begin a 0 7 10, end a 0 7 20", (true, true), &[incident]);
            assert_eq!(verdict.is_good(), is_good, "{name}");
        }
    }

    #[test]
    fn a_double_needs_a_reason() {
        use What::{Disconnected, EndedByItself, Frozen, Killed, Locked, Terminated};
        let at_once = "begin a 0 7 1000, begin a 0 8 1500, end a 0 8 1600, end a 0 7 9000";
        for (name, ledger, incidents, is_explained) in [
            ("nothing happened", DONE, vec![], false),
            ("nothing happened, two at once", at_once, vec![], false),
            ("killed in mid-handler", CUT, vec![incident(Killed, Some(7), 1_050, 1_051)], true),
            ("another one killed", CUT, vec![incident(Killed, Some(8), 1_050, 1_051)], false),
            ("killed before it began", CUT, vec![incident(Killed, Some(7), 900, 950)], false),
            ("killed afterwards", CUT, vec![incident(Killed, Some(7), 9_500, 9_501)], false),
            ("killed before the mark", DONE, vec![incident(Killed, Some(7), 1_101, 1_102)], true),
            ("killed long after the mark", DONE, vec![incident(Killed, Some(7), 5_000, 5_001)], false),
            ("ended by itself", CUT, vec![incident(EndedByItself, Some(7), 1_050, 1_051)], false),
            ("stopped in mid-handler", CUT, vec![incident(Terminated, Some(7), 1_050, 3_050)], true),
            ("stopped in order", DONE, vec![incident(Terminated, Some(7), 1_050, 3_050)], false),
            ("frozen for long", CUT, vec![incident(Frozen, Some(7), 1_050, 8_000)], true),
            ("frozen for a moment", CUT, vec![incident(Frozen, Some(7), 1_050, 2_000)], false),
            ("the store away before the mark", DONE, vec![incident(Killed, None, 1_050, 8_000)], true),
            ("the store away after the mark", DONE, vec![incident(Locked, None, 3_000, 8_500)], false),
            ("connections ended", DONE, vec![incident(Disconnected, None, 1_050, 1_051)], false),
        ] {
            assert_explained(name, ledger, &incidents, is_explained);
        }
    }

    #[test]
    fn standstills_add_up() {
        use What::{Frozen, Killed, Locked, Terminated};
        for (name, ledger, incidents, is_explained) in [
            (
                "two standstills that overlap",
                CUT,
                vec![incident(Frozen, Some(7), 1_050, 3_000), incident(Locked, None, 1_500, 3_500)],
                false,
            ),
            (
                "two standstills in a row",
                CUT,
                vec![incident(Frozen, Some(7), 1_050, 2_500), incident(Locked, None, 2_500, 4_700)],
                true,
            ),
            (
                "stopped while the mark was held up",
                DONE,
                vec![incident(Locked, None, 1_050, 2_800), incident(Terminated, Some(7), 1_040, 3_050)],
                true,
            ),
            (
                "killed while the mark was held up",
                DONE,
                vec![incident(Locked, None, 1_050, 2_800), incident(Killed, Some(7), 2_700, 2_701)],
                true,
            ),
        ] {
            assert_explained(name, ledger, &incidents, is_explained);
        }
    }

    fn assert_explained(name: &str, ledger: &str, incidents: &[Incident], is_explained: bool) {
        let verdict = judged(ledger, (true, true), incidents);
        assert_eq!(verdict.doubles.len(), 1, "{name}");
        let found = !verdict.doubles[0].causes.is_empty();
        assert_eq!((found, verdict.is_good()), (is_explained, is_explained), "{name}");
    }

    #[test]
    fn a_run_after_a_failure_is_no_double() {
        let verdict = judged("begin a 0 7 10, fail a 0 7 20, begin a 0 8 30, end a 0 8 40", (true, true), &[]);
        assert_eq!((verdict.once, verdict.again, verdict.is_good()), (1, 0, true));
    }
}
