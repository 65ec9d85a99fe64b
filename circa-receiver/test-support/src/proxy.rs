//! What the reverse proxies share: start in the foreground, readiness, reload, and the end of all
//! worker processes.
//!
//! The configurations are what a user writes who follows the proxy's own manual: two or more
//! upstream servers, the default balancing, failures found by the requests themselves. Only places
//! differ: a loopback port, and a folder of its own for files.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Folder, Process, free_port, wait_until};

/// The status of the page by which a configuration is recognised. No proxy and no receiver answers
/// it otherwise.
pub(crate) const MARKER_STATUS: u16 = 410;

/// How long a proxy may take to end by itself before it is killed.
const STOPS_WITHIN: Duration = Duration::from_secs(2);

/// How long a reload may take before it is asked for again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How one proxy program is used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// What to do where it is missing.
    pub(crate) install: &'static str,
    pub(crate) configure: fn(&Site) -> String,
    /// The program in the foreground; its configuration is in `site.configuration()`.
    pub(crate) command: fn(&Site) -> Command,
    /// Makes the running program read its configuration again, while it goes on to serve.
    pub(crate) reload: fn(&Site, &Process),
}

/// What a configuration is made of.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) folder: PathBuf,
    /// Where the proxy listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// Where the receivers listen, on 127.0.0.1.
    pub(crate) upstreams: Vec<u16>,
    /// A path that the proxy itself answers with [`MARKER_STATUS`]; another one in each
    /// configuration.
    pub(crate) marker: String,
}

impl Site {
    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder.join("configuration")
    }

    /// One line for each upstream server.
    pub(crate) fn each_upstream(&self, line: impl Fn(u16) -> String) -> String {
        self.upstreams.iter().map(|&port| line(port)).collect::<Vec<_>>().join("\n")
    }
}

/// A running proxy. It and all its worker processes are stopped when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    // Dropped before the folder is removed.
    group: Group,
    program: Program,
    site: Site,
    reloads: usize,
    folder: Folder,
}

impl Proxy {
    pub(crate) fn start(program: Program, upstreams: &[u16]) -> Self {
        for _ in 0..5 {
            let folder = Folder::new(program.name);
            let (port, upstreams) = (free_port(), upstreams.to_vec());
            let site = Site { folder: folder.path().to_owned(), port, upstreams, marker: marker(&folder, 0) };
            fs::write(site.configuration(), (program.configure)(&site)).unwrap();
            let group = Group::start(&mut (program.command)(&site), folder.path(), program.install);
            let mut proxy = Self { group, program, site, reloads: 0, folder };
            // Another process may have taken the port that was free.
            if proxy.becomes_ready() {
                return proxy;
            }
            eprintln!("{} ended before it was ready: {}", program.name, proxy.log());
        }
        panic!("{} ended five times before it was ready", program.name);
    }

    /// Where it listens, on 127.0.0.1, for HTTP/1.1 without TLS.
    pub fn port(&self) -> u16 {
        self.site.port
    }

    /// Its first process, the parent of the others.
    pub fn pid(&self) -> u32 {
        self.group.process.pid()
    }

    /// Passes requests to these ports from now on, as in a rolling deployment: connections that are
    /// open are served to their end.
    ///
    /// Returns when the new configuration has answered once. An old worker may take a last
    /// connection a moment later.
    ///
    /// # Panics
    ///
    /// Where the proxy refuses the reload, or ends, with what it has logged.
    pub fn reload(&mut self, upstreams: &[u16]) {
        self.reloads += 1;
        self.site.upstreams = upstreams.to_vec();
        self.site.marker = marker(&self.folder, self.reloads);
        fs::write(self.site.configuration(), (self.program.configure)(&self.site)).unwrap();
        let mut asked = None::<Instant>;
        wait_until(&format!("{} answers by its new configuration", self.program.name), || {
            assert!(self.group.process.is_alive(), "{} ended: {}", self.program.name, self.log());
            // Asked again after a while: HAProxy's master loses a signal that comes while it still
            // loads.
            if asked.is_none_or(|asked| asked.elapsed() > ASKED_AGAIN_AFTER) {
                asked = Some(Instant::now());
                (self.program.reload)(&self.site, &self.group.process);
            }
            self.answers()
        });
    }

    /// What it has written to its output and to its log files, for the message of a test that
    /// fails.
    pub fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        ["log", "error.log"].map(read).concat()
    }

    /// `false` if the process ended instead.
    fn becomes_ready(&mut self) -> bool {
        let mut alive = true;
        wait_until(&format!("{} answers by its configuration", self.program.name), || {
            alive = self.group.process.is_alive();
            !alive || self.answers()
        });
        alive
    }

    /// Whether it answers by its present configuration.
    fn answers(&self) -> bool {
        status(self.site.port, &self.site.marker) == Some(MARKER_STATUS)
    }
}

/// Unique on this machine, so that another proxy on the same port is not taken for this one.
fn marker(folder: &Folder, reloads: usize) -> String {
    format!("/{}-{reloads}", folder.path().file_name().unwrap().to_str().unwrap())
}

/// The status of a GET; `None` where there is no answer.
fn status(port: u16, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// A command for a program of the `PATH`, or of the folders of system programs, which a user's
/// `PATH` need not have.
pub(crate) fn command(program: &str) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let mut files = std::env::split_paths(&path).chain(system).map(|folder| folder.join(program));
    Command::new(files.find(|file| file.is_file()).unwrap_or_else(|| PathBuf::from(program)))
}

/// A process and its children, in a process group of their own: all end when it is dropped, or when
/// this process ends without dropping it.
#[derive(Debug)]
struct Group {
    process: Process,
    watcher: Child,
}

impl Group {
    fn start(command: &mut Command, folder: &Path, install: &str) -> Self {
        let process = Process::start(command.process_group(0), &folder.join("log"), install);
        // It kills the group, and removes the folder, when its standard input ends.
        let watcher = Command::new("sh")
            .args(["-c", "read -r _; kill -s KILL -- \"-$0\"; rm -rf \"$1\"", &process.pid().to_string()])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, watcher }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A proxy that ends by itself waits for its workers, so that none is left as a zombie. It
        // may wait for open connections too: not for long.
        if self.process.is_alive() {
            self.process.signal("TERM");
        }
        let deadline = Instant::now() + STOPS_WITHIN;
        while self.process.is_alive() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        drop(self.watcher.stdin.take());
        let _ = self.watcher.wait();
    }
}
