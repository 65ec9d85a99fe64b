//! A reference receiver as a process: started on a free port, watched by its output, stopped by its
//! pid.

use std::{ffi::OsStr, mem, net::SocketAddr, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use super::{CIRCA_SECRET, CIRCULARO_SECRET};

/// Longer than a reference may drain: a hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A receiver with the environment, the routes and the output that the package's library describes.
pub(crate) struct Reference {
    pub(crate) name: &'static str,
    pub(crate) binary: &'static str,
}

/// Every test runs against all of them.
pub(crate) const REFERENCES: [Reference; 2] = [
    Reference { name: "axum-receiver", binary: env!("CARGO_BIN_EXE_axum-receiver") },
    Reference { name: "actix-receiver", binary: env!("CARGO_BIN_EXE_actix-receiver") },
];

impl Reference {
    /// Started with one secret for each sender.
    pub(crate) async fn start(&self) -> Process {
        self.start_with(&[("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET), ("CIRCULARO_HMAC_SECRET", CIRCULARO_SECRET)]).await
    }

    pub(crate) async fn start_with(&self, environment: &[(&str, impl AsRef<OsStr>)]) -> Process {
        let started = self.try_start_with(environment).await;
        started.unwrap_or_else(|before| panic!("{} did not start: {before:?}", self.name))
    }

    /// As [`Reference::start_with`]; where it does not start, what it said.
    pub(crate) async fn try_start_with(
        &self,
        environment: &[(&str, impl AsRef<OsStr>)],
    ) -> Result<Process, Vec<String>> {
        Process::start(&mut self.command(environment)).await
    }

    /// As [`Reference::start_with`], as a process that may have so many descriptors.
    #[cfg(target_os = "linux")]
    pub(crate) async fn start_within(&self, descriptors: usize, environment: &[(&str, impl AsRef<OsStr>)]) -> Process {
        let mut limited = Command::new("prlimit");
        limited.arg(format!("--nofile={descriptors}:{descriptors}")).arg(self.binary);
        let started = Process::start(configure(&mut limited, environment)).await;
        started.unwrap_or_else(|before| panic!("{} did not start: {before:?}", self.name))
    }

    /// Started with an environment that it should refuse.
    pub(crate) async fn refuse(&self, environment: &[(&str, impl AsRef<OsStr>)]) -> Ended {
        let mut child = spawn(&mut self.command(environment));
        let (stdout, stderr) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        end(child, stdout, stderr).await
    }

    fn command(&self, environment: &[(&str, impl AsRef<OsStr>)]) -> Command {
        let mut command = Command::new(self.binary);
        configure(&mut command, environment);
        command
    }
}

fn configure<'a>(command: &'a mut Command, environment: &[(&str, impl AsRef<OsStr>)]) -> &'a mut Command {
    for variable in ["CIRCA_WEBHOOK_SECRET", "CIRCA_WEBHOOK_SECRET_OLD", "CIRCULARO_HMAC_SECRET"] {
        command.env_remove(variable).env_remove(format!("{variable}_FILE"));
    }
    for variable in ["STORE_URL", "INBOX", "LEASE_SECONDS", "METRICS_BIND"] {
        command.env_remove(variable);
    }
    // At debug every refusal has its line. Nobody balances any load here: no grace.
    command.env("RUST_LOG", "circa_receiver=debug,circa_receiver_examples=info").env("GRACE_SECONDS", "0");
    command.env("BIND", "127.0.0.1:0").env("H2C", "1");
    for (variable, value) in environment {
        command.env(variable, value);
    }
    command.stdin(Stdio::null())
}

/// A running receiver. Killed when dropped.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    /// What it said on standard error before it listened.
    pub(crate) before: Vec<String>,
    child: Child,
    stdout: UnboundedReceiver<String>,
    stderr: UnboundedReceiver<String>,
}

/// How a process ended, and what it said that nobody had read yet.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Process {
    /// Starts a program that says on standard error where it listens; where it does not, what it
    /// said.
    pub(crate) async fn start(command: &mut Command) -> Result<Self, Vec<String>> {
        let mut child = spawn(command);
        let stdout = lines(child.stdout.take().unwrap());
        let mut stderr = lines(child.stderr.take().unwrap());
        let mut before = Vec::new();
        while let Some(line) = next(&mut stderr).await {
            if let Some(address) = line.strip_prefix("listening on ") {
                return Ok(Self { child, address: address.parse().unwrap(), before, stdout, stderr });
            }
            before.push(line);
        }
        Err(before)
    }

    /// Its standard input, where that is piped.
    pub(crate) fn stdin(&mut self) -> &mut ChildStdin {
        self.child.stdin.as_mut().expect("standard input is piped")
    }

    /// The next line on standard output.
    pub(crate) async fn line(&mut self) -> String {
        next(&mut self.stdout).await.expect("standard output has ended")
    }

    /// Standard output and standard error from now on, for somebody who reads them all the time.
    pub(crate) fn outputs(&mut self) -> [UnboundedReceiver<String>; 2] {
        [&mut self.stdout, &mut self.stderr].map(|output| mem::replace(output, unbounded_channel().1))
    }

    /// The reason in the next refusal that is logged.
    pub(crate) async fn reason(&mut self) -> String {
        loop {
            let line = next(&mut self.stderr).await.expect("standard error has ended");
            // Not the line that counts strangers, once a second.
            if let Some((_, reason)) = line.split_once("reason=\"").filter(|_| !line.contains(" count=")) {
                return reason.split('"').next().unwrap().to_owned();
            }
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("the process still runs")
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success(), "{kill}");
    }

    /// `kill -9`; returns when it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits until the listening socket is closed and nothing is taken in any more.
    pub(crate) async fn stopping(&mut self) {
        while !next(&mut self.stderr).await.expect("standard error has ended").ends_with("stopping") {}
    }

    /// Waits for the end of the process.
    pub(crate) async fn end(self) -> Ended {
        end(self.child, self.stdout, self.stderr).await
    }

    /// Tells the process to stop, and waits for it.
    pub(crate) async fn stop(self) -> Ended {
        self.signal("TERM").await;
        self.end().await
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
}

async fn end(mut child: Child, stdout: UnboundedReceiver<String>, stderr: UnboundedReceiver<String>) -> Ended {
    let status = timeout(PATIENCE, child.wait()).await.expect("the process ends").unwrap();
    Ended { code: status.code(), stdout: rest(stdout).await, stderr: rest(stderr).await }
}

async fn rest(mut lines: UnboundedReceiver<String>) -> Vec<String> {
    let mut rest = Vec::new();
    while let Some(line) = next(&mut lines).await {
        rest.push(line);
    }
    rest
}

async fn next(lines: &mut UnboundedReceiver<String>) -> Option<String> {
    timeout(PATIENCE, lines.recv()).await.expect("a line, or the end, comes")
}

/// The lines of an output, read all the time, so that the process never blocks on a full pipe.
pub(crate) fn lines(output: impl AsyncRead + Send + Unpin + 'static) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = sender.send(line);
        }
    });
    receiver
}
