//! Standard output and standard error, which must decide no answer: they may be closed, or nobody
//! may read them.

use std::{
    io::{self, Write},
    panic,
    sync::{
        LazyLock,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use tokio::sync::oneshot;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::environment::variable;

/// The most lines kept for a standard error that is not read; further ones are dropped and counted.
const BUFFERED_LINES: usize = 8_192;

/// How often it is said how many lines of the log were dropped.
const DROPS_NOTED_EVERY: Duration = Duration::from_secs(10);

/// Writes what is left of the log when it is dropped, if somebody reads it.
#[derive(Debug)]
#[must_use]
pub struct Log(#[expect(dead_code, reason = "it acts when it is dropped")] WorkerGuard);

/// Logs to standard error, by `RUST_LOG`. A thread of its own writes: an answer never waits for a
/// log.
pub fn log_to_stderr() -> Log {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(BUFFERED_LINES).lossy(true);
    let (writer, guard) = builder.finish(io::stderr());
    let dropped = writer.error_counter();
    // `RUST_LOG=` must not hide refusals.
    let filter = variable("RUST_LOG").map_or_else(|| "info".into(), |filter| filter.to_string_lossy().into_owned());
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).init();
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "a panic")));
    if cfg!(panic = "abort") {
        tracing::warn!(
            "built with panic = \"abort\": a handler that panics ends the process, and every delivery in it"
        );
    }
    thread::spawn(move || note_drops(&dropped));
    Log(guard)
}

fn note_drops(dropped: &ErrorCounter) {
    let mut noted = 0;
    loop {
        thread::sleep(DROPS_NOTED_EVERY);
        let lines = dropped.dropped_lines();
        if lines > noted {
            tracing::warn!(lines, "lines of the log were dropped, since nobody read standard error");
            noted = lines;
        }
    }
}

/// Says something to people at the start. Where nobody hears it, nothing happens.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// A line for standard output, and who waits until it is written.
type Line = (String, oneshot::Sender<io::Result<()>>);

/// Writes a line to standard output. A thread of its own writes, in order: where nobody reads, the
/// handlers wait, and no thread that answers does.
pub(crate) async fn print(line: String) -> io::Result<()> {
    static LINES: LazyLock<Sender<Line>> = LazyLock::new(|| {
        let (sender, lines) = channel();
        thread::spawn(move || print_all(&lines));
        sender
    });
    let (written, wait) = oneshot::channel();
    LINES.send((line, written)).map_err(|_| io::ErrorKind::BrokenPipe)?;
    wait.await.map_err(|_| io::ErrorKind::BrokenPipe)?
}

fn print_all(lines: &Receiver<Line>) {
    let mut stdout = io::stdout();
    for (line, written) in lines {
        let _ = written.send(stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()));
    }
}
