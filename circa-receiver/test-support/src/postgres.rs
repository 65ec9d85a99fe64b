//! A PostgreSQL server for tests: durable, on a free loopback port, in a folder of its own.
//!
//! PostgreSQL refuses to run as root: there it runs as the user `postgres`, whom its package makes.
#![allow(dead_code, missing_docs, clippy::unwrap_used)]

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{Folder, Process, Relay, free_port, run, wait_until};

const INSTALL: &str = "PostgreSQL's server is not installed: apt-get install postgresql";

/// A running server, killed when dropped. Everybody on this machine may connect as `postgres`, who
/// may do everything.
#[derive(Debug)]
pub struct PostgresServer {
    // Stopped before its folder is removed.
    process: Process,
    remover: Child,
    port: u16,
    settings: Vec<String>,
    folder: Folder,
    programs: PathBuf,
}

impl PostgresServer {
    /// A new database, ready.
    ///
    /// # Panics
    ///
    /// Where PostgreSQL is not installed.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// As [`PostgresServer::start`], with settings such as `max_connections=10`.
    pub fn start_with(settings: &[&str]) -> Self {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let programs = programs();
        let folder = Folder::new("postgres");
        own(folder.path());
        let mut initdb = as_postgres(programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        run(initdb.arg(data(&folder)), INSTALL);
        let port = free_port();
        let process = launch(&programs, &folder, port, &settings);
        let remover = remover(folder.path());
        let mut server = Self { process, remover, port, settings, folder, programs };
        // Another process may have taken the port that was free.
        wait_until("PostgreSQL finds a port", || {
            let ready = server.becomes_ready();
            if !ready {
                server.port = free_port();
                server.process = launch(&server.programs, &server.folder, server.port, &server.settings);
            }
            ready
        });
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// As [`PostgresServer::url`], through a relay in front of it.
    pub fn url_through(&self, relay: &Relay) -> String {
        self.url().replace(&self.port.to_string(), &relay.port().to_string())
    }

    /// As `postgres`, in the database `postgres`.
    pub fn url(&self) -> String {
        self.url_as("postgres")
    }

    /// As another role.
    pub fn url_as(&self, role: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/postgres", self.port)
    }

    /// `kill -9` for the server and all its processes, as a power cut; returns when none is left.
    pub fn kill(&mut self) {
        let children = children(self.process.pid());
        self.process.kill();
        signal("KILL", &children);
        wait_until("PostgreSQL's processes are gone", || children.iter().all(|child| is_gone(*child)));
    }

    /// Starts again after [`PostgresServer::kill`], or kills before: same port, same data.
    pub fn restart(&mut self) {
        self.kill();
        wait_until("PostgreSQL starts again", || {
            self.process = launch(&self.programs, &self.folder, self.port, &self.settings);
            self.becomes_ready()
        });
    }

    /// `kill -STOP` for the server and all its processes: connections stay open, new ones are taken
    /// by the kernel, and nothing answers.
    pub fn freeze(&self) {
        self.process.freeze();
        signal("STOP", &children(self.process.pid()));
    }

    /// Ends [`PostgresServer::freeze`].
    pub fn thaw(&self) {
        signal("CONT", &children(self.process.pid()));
        self.process.thaw();
    }

    /// What `psql` prints for a statement: rows as lines, columns parted by `|`.
    ///
    /// # Panics
    ///
    /// Where the statement fails.
    pub fn sql(&self, statement: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(), "-c", statement]);
        run(&mut psql, INSTALL).trim_end().to_owned()
    }

    /// `false` if the process ended instead, as when another process has the port.
    fn becomes_ready(&mut self) -> bool {
        let mut alive = true;
        wait_until("PostgreSQL accepts connections", || {
            alive = self.process.is_alive();
            !alive || self.answers()
        });
        alive
    }

    fn answers(&self) -> bool {
        let mut asked = Command::new(self.programs.join("psql"));
        asked.args(["-X", "-q", "-d", &self.url(), "-c", "SELECT 1"]).env("PGCONNECT_TIMEOUT", "5");
        asked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        asked.status().unwrap().success()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
        let _ = self.remover.kill();
        let _ = self.remover.wait();
    }
}

/// Removes the folder when this process ends without dropping it, as of a server in a static, a
/// moment after the server was killed.
fn remover(folder: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", "read -r _; sleep 1; rm -rf \"$0\""]).arg(folder);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn data(folder: &Folder) -> PathBuf {
    folder.path().join("data")
}

fn launch(programs: &Path, folder: &Folder, port: u16, settings: &[String]) -> Process {
    let mut postgres = as_postgres(programs.join("postgres"));
    postgres.arg("-D").arg(data(folder)).args(["-h", "127.0.0.1", "-p", &port.to_string(), "-k"]).arg(folder.path());
    postgres.args(["-c", "fsync=on", "-c", "synchronous_commit=on"]);
    for setting in settings {
        postgres.args(["-c", setting]);
    }
    Process::start(&mut postgres, &folder.path().join("log"), INSTALL)
}

/// The folder of `initdb`, `postgres` and `psql`: of the `PATH`, or where Debian keeps them, the
/// newest.
fn programs() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let mut debian: Vec<(u32, PathBuf)> = installed
        .filter_map(|version| Some((version.file_name()?.to_str()?.parse().ok()?, version.join("bin"))))
        .collect();
    debian.sort();
    let debian = debian.into_iter().rev().map(|(_, folder)| folder);
    let complete = |folder: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|name| folder.join(name).is_file());
    std::env::split_paths(&path).chain(debian).find(complete).expect(INSTALL)
}

/// The user and group `postgres`, where this process is root.
fn postgres_user() -> Option<(u32, u32)> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let user = users.lines().find_map(|line| {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    });
    Some(user.expect("PostgreSQL does not run as root, and there is no user `postgres`: apt-get install postgresql"))
}

pub(super) fn as_postgres(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    // A folder that every user may enter.
    command.current_dir("/").env_remove("PGDATA");
    if let Some((user, group)) = postgres_user() {
        command.uid(user).gid(group);
    }
    command
}

pub(super) fn own(folder: &Path) {
    if let Some((user, group)) = postgres_user() {
        std::os::unix::fs::chown(folder, Some(user), Some(group)).unwrap();
    }
}

/// The processes that the server has for its connections and its housekeeping.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| state(*pid).is_some_and(|(_, its_parent)| its_parent == parent)).collect()
}

/// A process's state and parent. Its name, which stands before them, may hold anything.
fn state(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// A process that has ended and that its parent has not yet asked about does nothing any more.
fn is_gone(pid: u32) -> bool {
    state(pid).is_none_or(|(state, _)| state == "Z" || state == "X")
}

/// Some may have ended by themselves meanwhile.
fn signal(signal: &str, pids: &[u32]) {
    if !pids.is_empty() {
        let pids = pids.iter().map(u32::to_string);
        let mut kill = Command::new("sh");
        kill.args(["-c", "for pid; do kill -s \"$0\" \"$pid\" 2>/dev/null; done; true", signal]).args(pids);
        run(&mut kill, "");
    }
}
