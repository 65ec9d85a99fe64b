//! What is a fault of the receiver's, and what the contract allows after kills and outages.
//!
//! 1. Nothing that was answered 2xx is lost (sections 7, 8a).
//! 2. What was refused each time was refused for a reason: a fault of the sender, an outage, the
//!    end of a process, a run that failed or was cut off with its process.
//! 3. Each run has a claim that holds when it starts, and no other run of its event is alive or
//!    marked done. An earlier one was given up after its handler failed, or its lease has lapsed;
//!    and a lease lapses under a run that has not failed only because its process ended before the
//!    mark was made, or the store was away when it lapsed.
//!    Over a store, a process waits for its own run, however long the store was away.
//! 4. A run that has ended is marked done or given up, and so is one that a shutdown has stopped:
//!    unless its process was killed, or its calls went wrong.

use std::{collections::HashMap, ops::Range, time::Duration};

use circa_receiver::testing::{Ledger, StoreCall, StoreFault};

use super::journal::{Journal, Line, What};

/// The lease of receivers and workers, unless set otherwise.
const LEASE: Duration = Duration::from_secs(60);

/// How long a process is away that has ended.
const AWAY: Duration = Duration::from_secs(30);

/// How long the sender waits for its answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// So soon a mark is made, or a lease renewed, by a process that lives and a store that is there:
/// two calls that hang for 2 s, one that is slow, and the pauses between them; after an outage the
/// pause that was begun in it, of up to 5 s.
const SOON: Duration = Duration::from_secs(12);

/// What is known of a simulation.
pub(super) struct Judge<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) journal: &'a Journal,
    pub(super) outages: &'a [Range<Duration>],
    pub(super) over_inbox: bool,
}

/// How often what happened, so that a test can tell that it tests something.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) ends: usize,
    pub(super) outages: usize,
    pub(super) faults: usize,
    pub(super) refused: usize,
    /// Events whose handler has succeeded more than once, for a reason.
    pub(super) doubled: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.ends += other.ends;
        self.outages += other.outages;
        self.faults += other.faults;
        self.refused += other.refused;
        self.doubled += other.doubled;
    }
}

/// A run of a handler.
#[derive(Default)]
struct Run {
    process: usize,
    started: Duration,
    lease_ends: Duration,
    succeeded: Option<Duration>,
    failed: Option<Duration>,
    /// It was marked done, or buried.
    marked: bool,
    /// Its claim was released, or its event given back to the queue.
    given_up: bool,
}

/// The runs of one event, and the claims that have no run yet.
#[derive(Default)]
struct Runs {
    runs: Vec<Run>,
    granted: HashMap<usize, Duration>,
}

impl Judge<'_> {
    /// Panics with the story of the first event that was treated wrongly.
    pub(super) fn judge(&self) -> Tally {
        let lines = self.journal.lines();
        let mut tally = Tally {
            ends: lines.iter().filter(|line| matches!(line.what, What::Ended)).count(),
            outages: self.outages.len(),
            faults: lines
                .iter()
                .filter(|line| matches!(&line.what, What::Call(call) if call.fault().is_some()))
                .count(),
            ..Tally::default()
        };
        for event in self.ledger.events() {
            let runs = self.runs(event, &lines).unwrap_or_else(|why| self.condemn(event, &why));
            let succeeded = runs.iter().filter(|run| run.succeeded.is_some()).count();
            if succeeded == 0 && self.ledger.was_delivered(event) {
                self.condemn(event, "was answered 2xx and lost");
            }
            if succeeded == 0 && self.is_refused_without_reason(event, &runs, &lines) {
                self.condemn(event, "was refused without a reason");
            }
            tally.refused += usize::from(succeeded == 0);
            tally.doubled += usize::from(succeeded > 1);
        }
        tally
    }

    fn condemn(&self, event: &str, why: &str) -> ! {
        let story = self.journal.story(event);
        panic!("the event {event} {why}\noutages: {:?}\n{story}{}", self.outages, self.ledger.history(event))
    }

    /// Whether an attempt met neither a fault of the sender, nor an outage, nor a process that
    /// ended, nor a run that failed or was cut off.
    fn is_refused_without_reason(&self, event: &str, runs: &[Run], lines: &[Line]) -> bool {
        // A delivery is accepted whatever became of others, and claimed once the lease has lapsed.
        let blocked_for = if self.over_inbox { Duration::ZERO } else { LEASE };
        let outages = self.outages.iter().map(|outage| outage.start..outage.end + blocked_for + SOON);
        let ends = lines.iter().filter(|line| matches!(line.what, What::ShutsDown | What::Ended));
        let ends = ends.map(|line| line.at..line.at + blocked_for.max(AWAY) + SOON);
        let runs = runs.iter().filter_map(|run| {
            let ended = run.failed.or_else(|| ended(lines, run.process))?;
            Some(run.started..ended)
        });
        let reasons: Vec<Range<Duration>> = outages.chain(ends).chain(runs).collect();
        let has_reason = |at| reasons.iter().any(|reason| reason.start <= at + PATIENCE && at <= reason.end);
        self.ledger.attempted_without_fault_at(event).into_iter().any(|at| !has_reason(at))
    }

    /// The runs of an event, or what is wrong with them.
    fn runs(&self, event: &str, lines: &[Line]) -> Result<Vec<Run>, String> {
        let mut runs = Runs::default();
        for line in lines.iter().filter(|line| line.event() == Some(event)) {
            match &line.what {
                What::Call(call) if call.took_effect() => runs.call(line.at, line.process, call),
                What::Started(_) => {
                    let lease_ends = runs.granted.remove(&line.process).filter(|ends| line.at < *ends);
                    let lease_ends = lease_ends.ok_or("was handled without a claim")?;
                    runs.runs.iter().try_for_each(|run| self.is_over(run, line, lines))?;
                    let (process, started) = (line.process, line.at);
                    let run = Run { process, started, lease_ends, ..Run::default() };
                    runs.runs.push(run);
                }
                What::Succeeded(_) => _ = runs.of(line.process).map(|run| run.succeeded = Some(line.at)),
                What::Failed(_) => _ = runs.of(line.process).map(|run| run.failed = Some(line.at)),
                _ => {}
            }
        }
        runs.runs.iter().try_for_each(|run| self.is_settled(run, event, lines))?;
        Ok(runs.runs)
    }

    /// Whether a run left nothing behind that could have been settled.
    fn is_settled(&self, run: &Run, event: &str, lines: &[Line]) -> Result<(), String> {
        let of_process = || lines.iter().filter(|line| line.process == run.process);
        let was_shut_down = of_process().any(|line| matches!(line.what, What::ShutsDown));
        let was_killed = ended(lines, run.process).is_some() && !was_shut_down;
        // Marks and releases are tried again, and a shutdown waits for neither for long.
        let went_wrong = |line: &Line| {
            let is_faulty = matches!(&line.what, What::Call(call) if call.fault().is_some());
            is_faulty && line.event() == Some(event) && run.started <= line.at
        };
        let is_excused = match was_shut_down {
            false => self.outages.iter().any(|outage| outage.start <= run.lease_ends && run.started <= outage.end),
            true => of_process().any(went_wrong),
        };
        if run.marked || run.given_up || was_killed || is_excused {
            return Ok(());
        }
        Err(format!("was neither marked done nor given up by process {}", run.process))
    }

    /// Whether another run may start.
    fn is_over(&self, run: &Run, starts: &Line, lines: &[Line]) -> Result<(), String> {
        let now = starts.at;
        if run.marked {
            return Err(format!("was handled again at {now:.1?}, after it was marked done"));
        }
        if run.given_up && run.succeeded.is_some() {
            return Err(format!("was handled again at {now:.1?}, since it was given up after it had succeeded"));
        }
        if run.given_up {
            return Ok(());
        }
        let is_in_progress = run.succeeded.is_none() && run.failed.is_none();
        if is_in_progress && run.process == starts.process && !self.over_inbox {
            return Err(format!("was handled again at {now:.1?} in the process that still handled it"));
        }
        if now < run.lease_ends {
            return Err(format!("was handled again at {now:.1?}, while process {} held it", run.process));
        }
        let ended = ended(lines, run.process);
        let until = run.succeeded.map_or(run.lease_ends, |at| at + SOON);
        let was_away = |from: Duration, to: Duration| {
            self.outages.iter().any(|outage| outage.start <= to && from <= outage.end + SOON)
        };
        let for_a_reason = run.failed.is_some()
            || ended.is_some_and(|ended| ended <= until || run.succeeded.is_some_and(|at| was_away(at, ended)))
            || was_away(run.lease_ends, run.lease_ends);
        if for_a_reason { Ok(()) } else { Err(format!("was handled again at {now:.1?}, since its lease was not kept")) }
    }
}

/// When a process ended.
fn ended(lines: &[Line], process: usize) -> Option<Duration> {
    let is_end = |what: &What| match what {
        What::Ended => true,
        What::Call(call) => matches!(call.fault(), Some(StoreFault::Killed | StoreFault::KilledAfter)),
        _ => false,
    };
    lines.iter().find(|line| line.process == process && is_end(&line.what)).map(|line| line.at)
}

impl Runs {
    /// The last run of a process.
    fn of(&mut self, process: usize) -> Option<&mut Run> {
        self.runs.iter_mut().rfind(|run| run.process == process)
    }

    /// A call that took effect.
    fn call(&mut self, at: Duration, process: usize, call: &StoreCall) {
        match call.operation() {
            "claim" | "lease" => _ = self.granted.insert(process, at + LEASE),
            "renew" => match self.granted.get_mut(&process) {
                Some(ends) => *ends = at + LEASE,
                None => _ = self.of(process).map(|run| run.lease_ends = at + LEASE),
            },
            "complete" | "bury" => _ = self.of(process).map(|run| run.marked = true),
            "release" | "withdraw" | "retry" | "postpone" | "give back" => {
                let had_begun = self.granted.remove(&process).is_none();
                _ = self.of(process).filter(|_| had_begun).map(|run| run.given_up = true);
            }
            _ => {}
        }
    }
}
