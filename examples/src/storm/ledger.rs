//! What the handlers did: a file to which each run appends a line when it begins and one when it
//! ends, with one write each. What was written survives the death of its process.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use super::effects::Effect;

/// The ledger as a process writes it.
#[derive(Debug)]
pub(super) struct Ledger {
    file: File,
    pid: u32,
    next: AtomicU64,
}

/// One run of a handler that has begun. Dropped, it was cut off by its own process.
#[derive(Debug)]
pub(super) struct OpenRun {
    ledger: Arc<Ledger>,
    event: String,
    number: u64,
    is_closed: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    /// Its effect has happened.
    Done,
    /// Its effect and the completion of the run were committed together.
    Booked,
    /// Its effect was not committed: another run may have the event.
    Fenced,
    /// The handler returned an error.
    Failed,
    /// The handler was dropped half-way.
    Cut,
}

/// A run as it stands in the ledger. Times count from the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Run {
    pub(super) event: String,
    pub(super) number: u64,
    pub(super) pid: u32,
    pub(super) begun: Duration,
    /// `None` where its process died in the middle, or runs it still.
    pub(super) ended: Option<(Duration, End)>,
}

/// The time since the Unix epoch, by the clock that all processes of a machine share.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl Ledger {
    pub(super) fn open(path: &Path) -> io::Result<Arc<Self>> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Arc::new(Self { file, pid: std::process::id(), next: AtomicU64::new(0) }))
    }

    /// A handler begins with this event, whose name has no white space.
    pub(super) fn begin(self: &Arc<Self>, event: &str) -> io::Result<OpenRun> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.write("begin", event, number)?;
        Ok(OpenRun { ledger: Arc::clone(self), event: event.to_owned(), number, is_closed: false })
    }

    fn write(&self, what: &str, event: &str, number: u64) -> io::Result<()> {
        let line = format!("{what} {event} {number} {} {}\n", self.pid, now().as_micros());
        // A line is far below the size up to which a file takes it whole.
        (&self.file).write_all(line.as_bytes())
    }
}

impl OpenRun {
    /// What it would book.
    pub(super) fn effect(&self) -> Effect {
        Effect { event: self.event.clone(), pid: self.ledger.pid, run: self.number }
    }

    /// Its effect has happened, or it has failed.
    pub(super) fn close(mut self, end: End) -> io::Result<()> {
        self.is_closed = true;
        self.ledger.write(end.word(), &self.event, self.number)
    }
}

impl Drop for OpenRun {
    fn drop(&mut self) {
        if !self.is_closed {
            // There is nobody to tell.
            let _ = self.ledger.write(End::Cut.word(), &self.event, self.number);
        }
    }
}

impl End {
    const ALL: [Self; 5] = [Self::Done, Self::Booked, Self::Fenced, Self::Failed, Self::Cut];

    fn word(self) -> &'static str {
        match self {
            Self::Done => "end",
            Self::Booked => "book",
            Self::Fenced => "fence",
            Self::Failed => "fail",
            Self::Cut => "cut",
        }
    }
}

impl Run {
    pub(super) fn is_done(&self) -> bool {
        matches!(self.ended, Some((_, End::Done | End::Booked)))
    }
}

/// All runs, in the order in which they began.
pub(super) fn read(path: &Path) -> io::Result<Vec<Run>> {
    Ok(parse(&fs::read_to_string(path)?))
}

/// Leaves out what is not a whole line: the last one may just be written.
pub(super) fn parse(text: &str) -> Vec<Run> {
    let mut runs = BTreeMap::new();
    for line in text.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [what, event, number, pid, at] = fields[..] else { continue };
        let (Ok(number), Ok(pid), Ok(at)) = (number.parse(), pid.parse(), at.parse()) else { continue };
        let at = Duration::from_micros(at);
        if what == "begin" {
            runs.insert((pid, number), Run { event: event.to_owned(), number, pid, begun: at, ended: None });
        } else if let Some(run) = runs.get_mut(&(pid, number)) {
            run.ended = End::ALL.into_iter().find(|end| end.word() == what).map(|end| (at, end));
        }
    }
    let mut runs: Vec<Run> = runs.into_values().collect();
    runs.sort_by_key(|run| run.begun);
    runs
}

#[cfg(test)]
mod tests {
    use circa_receiver_test_support::Folder;

    use super::*;

    #[test]
    fn what_was_written_is_read() -> io::Result<()> {
        let folder = Folder::new("ledger");
        let path = folder.path().join("ledger");
        let ledger = Ledger::open(&path)?;
        ledger.begin("done")?.close(End::Done)?;
        ledger.begin("booked")?.close(End::Booked)?;
        ledger.begin("fenced")?.close(End::Fenced)?;
        ledger.begin("failed")?.close(End::Failed)?;
        drop(ledger.begin("cut")?);
        let _open = ledger.begin("open")?;
        let ends: Vec<_> = read(&path)?.into_iter().map(|run| (run.event, run.ended.map(|(_, end)| end))).collect();
        let expected = [
            ("done", Some(End::Done)),
            ("booked", Some(End::Booked)),
            ("fenced", Some(End::Fenced)),
            ("failed", Some(End::Failed)),
            ("cut", Some(End::Cut)),
            ("open", None),
        ];
        assert_eq!(ends, expected.map(|(event, end)| (event.to_owned(), end)));
        Ok(())
    }

    #[test]
    fn half_a_line_is_left_out() {
        let runs = parse("begin a 0 7 1000\nend a 0 7 2000\nbegin b 1 7");
        let run = Run {
            event: "a".to_owned(),
            number: 0,
            pid: 7,
            begun: Duration::from_millis(1),
            ended: Some((Duration::from_millis(2), End::Done)),
        };
        assert_eq!(runs, [run]);
    }
}
