//! What tests and benches share: real servers, bodies in chunks, what every adapter's server does
//! with its connections, and what the fuzz targets do.
//!
//! A server listens on a free loopback port, in a folder of its own, and is gone when dropped. It
//! also ends when the test's process is killed: a watching shell sees its pipe close. A server
//! program that is not installed is a panic that says what to install.

pub mod apache;
pub mod caddy;
mod chunks;
#[cfg(feature = "connections")]
pub mod connections;
#[cfg(feature = "fuzz")]
mod envelope;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod haproxy;
pub mod nginx;
pub mod pgbouncer;
pub mod postgres;
mod proxy;
pub mod redis;
mod relay;

pub use proxy::Proxy;
pub use relay::Relay;

use std::{
    fs,
    io::ErrorKind,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

pub use chunks::Chunks;

/// How long a server may take until it is ready; a loaded machine is slow, a broken server takes
/// for ever.
pub const READY_WITHIN: Duration = Duration::from_secs(30);

/// A loopback port that nobody listened on a moment ago. Another process may take it before you do:
/// start again on another one then.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Asks until the answer is yes, at most for [`READY_WITHIN`].
///
/// # Panics
///
/// With `what`, when it never was.
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + READY_WITHIN;
    while !ready() {
        assert!(Instant::now() < deadline, "{what}: not within {READY_WITHIN:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a program to its end.
///
/// # Panics
///
/// With the program's output when it fails, and with `install` when it is not there.
pub fn run(command: &mut Command, install: &str) -> String {
    let program = name(command);
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| not_started(&program, install, &error));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} failed, {}:\n{out}{err}", output.status);
    out.into_owned()
}

/// A folder that is removed when dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A new one in the system's folder for temporary files.
    pub fn new(what: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("circa-receiver-{what}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running server, killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    watcher: Child,
}

impl Process {
    /// Starts a server in the foreground (no daemon: it is known by its process id); its output
    /// goes to `log`.
    ///
    /// # Panics
    ///
    /// With `install`, when the program is not there.
    pub fn start(command: &mut Command, log: &Path, install: &str) -> Self {
        let program = name(command);
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| not_started(&program, install, &error));
        Self { watcher: watch(child.id()), child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs still, or is frozen.
    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// `kill -9`, as a power cut.
    pub fn kill(&mut self) {
        let _ = self.watcher.kill();
        let _ = self.watcher.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// `kill -TERM`: asks it to end.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// `kill -STOP`: connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// `kill -CONT`: ends [`Process::freeze`].
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        // The shell's own kill: the program of that name is not installed everywhere.
        run(Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", signal, &self.pid().to_string()]), "");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Kills a server when this process ends without dropping it, as in a static or under `kill -9`.
fn watch(pid: u32) -> Child {
    Command::new("sh")
        .args(["-c", "read -r _; kill -9 \"$0\"", &pid.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn not_started(program: &str, install: &str, error: &std::io::Error) -> ! {
    match error.kind() {
        ErrorKind::NotFound => panic!("{program} is not installed: {install}"),
        _ => panic!("{program} cannot be started: {error}"),
    }
}
