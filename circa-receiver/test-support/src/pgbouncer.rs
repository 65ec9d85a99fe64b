//! PgBouncer in front of a PostgreSQL server, on a free loopback port.
//!
//! PgBouncer refuses to run as root: there it runs as the user `postgres`.
#![allow(missing_docs)]

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Folder, Process, free_port,
    postgres::{PostgresServer, as_postgres, own},
    wait_until,
};

const INSTALL: &str = "PgBouncer is not installed: apt-get install pgbouncer";

/// A running pooler, killed when dropped.
#[derive(Debug)]
pub struct PgBouncer {
    // Stopped before its folder is removed.
    _process: Process,
    port: u16,
    _folder: Folder,
}

impl PgBouncer {
    /// A pooler that gives out the server's connections in this mode: `session` or `transaction`.
    ///
    /// # Panics
    ///
    /// Where PgBouncer is not installed.
    pub fn start(server: &PostgresServer, mode: &str) -> Self {
        let folder = Folder::new("pgbouncer");
        own(folder.path());
        let mut started = None;
        // Another process may have taken the port that was free.
        wait_until("PgBouncer finds a port", || {
            let port = free_port();
            let mut process = launch(&folder, server.port(), port, mode);
            let ready = becomes_ready(&mut process, &folder, port);
            started = ready.then_some((process, port));
            ready
        });
        let (process, port) = started.expect("it was ready");
        Self { _process: process, port, _folder: folder }
    }

    /// As `postgres`, in the database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

fn launch(folder: &Folder, server: u16, port: u16, mode: &str) -> Process {
    let settings = folder.path().join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = any\npool_mode = {mode}\nignore_startup_parameters = extra_float_digits, options\n\
         server_login_retry = 1\n"
    );
    // With `auth_type = any` the user stands in the database line.
    let text = text.replace(&format!("port={server}"), &format!("port={server} user=postgres"));
    fs::write(&settings, text).unwrap();
    let mut pgbouncer = as_postgres(program());
    Process::start(pgbouncer.arg(&settings), &log(folder), INSTALL)
}

/// Debian keeps it outside of a user's `PATH`.
fn program() -> PathBuf {
    let debian = Path::new("/usr/sbin/pgbouncer");
    if debian.is_file() { debian.to_owned() } else { "pgbouncer".into() }
}

/// `false` if the process ended instead, as when another process has the port: a connection alone
/// would not tell which process took it.
fn becomes_ready(process: &mut Process, folder: &Folder, port: u16) -> bool {
    let listens = format!("listening on 127.0.0.1:{port}");
    let mut alive = true;
    wait_until("PgBouncer accepts connections", || {
        alive = process.is_alive();
        !alive || fs::read_to_string(log(folder)).is_ok_and(|log| log.contains(&listens))
    });
    alive
}

fn log(folder: &Folder) -> PathBuf {
    folder.path().join("log")
}
