//! The printed ledger: what was done, what was sent and answered, and what became of it.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    time::Duration,
};

use super::bookings::Bookings;
use super::incident::Incident;
use super::judge::{Double, Sent, Verdict};
use super::ledger::{End, Run};
use super::options::Options;

/// The most names that are printed of what is lost or stuck.
const NAMED: usize = 20;

/// What is printed.
pub(super) struct Report<'a> {
    pub(super) options: &'a Options,
    /// When the first event was sent.
    pub(super) begun: Duration,
    pub(super) took: Duration,
    pub(super) left_out: Option<&'static str>,
    pub(super) sent: &'a [Sent],
    /// How often which status and outcome was answered.
    pub(super) answers: &'a BTreeMap<String, usize>,
    pub(super) runs: &'a [Run],
    pub(super) incidents: &'a [Incident],
    pub(super) verdict: &'a Verdict,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { mode, store, seed, .. } = self.options;
        writeln!(f, "storm: {mode:?} on {store:?}, seed {seed:#x}, {:.0} s", self.took.as_secs_f64())?;
        writeln!(f, "\nwhat was done")?;
        if let Some(why) = self.left_out {
            writeln!(f, "  full disk: left out, {why}")?;
        }
        for incident in self.incidents {
            writeln!(f, "  {}", self.incident(incident))?;
        }
        writeln!(f, "\nevents")?;
        let retried = self.sent.iter().filter(|event| event.is_retried).count();
        row(f, "sent", &format!("{} ({retried} by a sender that retries)", self.sent.len()))?;
        for (answer, count) in self.answers {
            row(f, &format!("answered {answer}"), count)?;
        }
        let count = |end| self.runs.iter().filter(|run| run.ended.map(|(_, end)| end) == end).count();
        row(f, "runs that succeeded", &count(Some(End::Done)))?;
        row(f, "runs completed with their effects", &count(Some(End::Booked)))?;
        row(f, "runs fenced off, their lease lost", &count(Some(End::Fenced)))?;
        row(f, "runs that failed", &count(Some(End::Failed)))?;
        row(f, "runs cut off by their process", &count(Some(End::Cut)))?;
        row(f, "runs that died with their process", &count(None))?;
        self.fmt_verdict(f)
    }
}

impl Report<'_> {
    fn fmt_verdict(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, .. } = self;
        let unexplained = verdict.unexplained().count();
        writeln!(f, "\njudgement")?;
        row(f, "handled once", &verdict.once)?;
        row(f, "begun again, explained", &(verdict.doubles.len() - unexplained))?;
        for double in verdict.doubles.iter().filter(|double| !double.causes.is_empty()) {
            writeln!(f, "    {}", self.double(double))?;
        }
        row(f, "begun again, unexplained", &unexplained)?;
        for double in verdict.unexplained() {
            writeln!(f, "    {}", self.double(double))?;
        }
        row(f, "lost", &verdict.lost.len())?;
        names(f, verdict.lost.iter())?;
        row(f, "stuck", &verdict.stuck.len())?;
        names(f, verdict.stuck.iter())?;
        row(f, "disorders", &verdict.disorders.len())?;
        for disorder in &verdict.disorders {
            writeln!(f, "    {}", self.incident(disorder).trim_start())?;
        }
        if let Some(Bookings { booked, doubled, missing }) = &verdict.bookings {
            row(f, "effects booked", booked)?;
            row(f, "effects doubled", &doubled.len())?;
            names(f, doubled.iter())?;
            row(f, "effects missing", &missing.len())?;
            names(f, missing.iter())?;
        }
        writeln!(
            f,
            "\n{}",
            if verdict.is_good() { "nothing lost, nothing stuck, every double explained" } else { "NOT GOOD" }
        )
    }

    /// A time, in seconds since the first event.
    fn at(&self, time: Duration) -> String {
        format!("{:.3} s", time.as_secs_f64() - self.begun.as_secs_f64())
    }

    fn incident(&self, incident: &Incident) -> String {
        let Incident { what, whom, from, until } = incident;
        format!("{:>10}  {what} of {whom}, {:.2} s", self.at(*from), until.saturating_sub(*from).as_secs_f64())
    }

    fn double(&self, double: &Double) -> String {
        let Double { run, again, causes } = double;
        let mut line = format!("{}: run by pid {} at {}", run.event, run.pid, self.at(run.begun));
        let ended = match run.ended {
            Some((at, End::Done)) => format!(", done at {}", self.at(at)),
            Some((at, End::Booked)) => format!(", completed with its effect at {}", self.at(at)),
            Some((at, End::Fenced)) => format!(", fenced off at {}", self.at(at)),
            Some((at, End::Failed)) => format!(", failed at {}", self.at(at)),
            Some((at, End::Cut)) => format!(", cut off at {}", self.at(at)),
            None => ", never ended".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = write!(line, "{ended}; again by pid {} at {}", again.pid, self.at(again.begun));
        let causes: Vec<_> = causes.iter().map(|cause| self.incident(cause).trim_start().to_owned()).collect();
        let _ = write!(line, ": {}", if causes.is_empty() { "no reason".to_owned() } else { causes.join(", and ") });
        line
    }
}

fn row(f: &mut fmt::Formatter<'_>, what: &str, value: &dyn fmt::Display) -> fmt::Result {
    writeln!(f, "  {what:<36} {value}")
}

fn names<'a>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'a String>) -> fmt::Result {
    names.take(NAMED).try_for_each(|name| writeln!(f, "    {name}"))
}
