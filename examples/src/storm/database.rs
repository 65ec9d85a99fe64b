//! The store of a storm: a server of its own, or a file, and what is done to it.

use std::{
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use circa_receiver_test_support::{Folder, postgres::PostgresServer, redis::RedisServer};
use rusqlite::Connection;

use super::incident::{Incidents, What, Whom};
use super::ledger::now;
use super::options::{Mode, StoreKind};
use super::plan::StoreFault;
use crate::BoxError;

/// The tables that a lock holds.
const CLAIMS: &str = "circa_receiver_claims";
const INBOX: &str = "circa_receiver_inbox";

/// A slow store runs for so long, and then stands still for so long.
const SLOW: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(40));

/// The size of the disk of a file that may fill up, in MiB.
const DISK_MIB: usize = 128;

pub(super) struct Database {
    kind: Kind,
    mode: Mode,
    incidents: Arc<Incidents>,
}

enum Kind {
    Sqlite(Disk),
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Database {
    pub(super) fn start(kind: StoreKind, mode: Mode, incidents: &Arc<Incidents>) -> io::Result<Self> {
        let kind = match kind {
            StoreKind::Sqlite => Kind::Sqlite(Disk::new()?),
            StoreKind::Postgres => Kind::Postgres(PostgresServer::start()),
            // Every write is on the disk before it is answered.
            StoreKind::Redis => Kind::Redis(RedisServer::start_durable()),
        };
        Ok(Self { kind, mode, incidents: Arc::clone(incidents) })
    }

    /// For `STORE_URL`.
    pub(super) fn url(&self) -> String {
        match &self.kind {
            Kind::Sqlite(disk) => format!("sqlite:{}", disk.file().display()),
            Kind::Postgres(server) => server.url(),
            Kind::Redis(server) => server.url(),
        }
    }

    /// Whether its disk can be filled, or why it cannot.
    pub(super) fn can_fill_disk(&self) -> Result<(), &'static str> {
        match &self.kind {
            Kind::Sqlite(Disk { is_mounted: true, .. }) => Ok(()),
            Kind::Sqlite(_) => Err("a small tmpfs cannot be mounted (that needs root)"),
            Kind::Postgres(_) | Kind::Redis(_) => {
                Err("a server's data stands on the disk of everything else; SQLite's file has one of its own")
            }
        }
    }

    /// Does it, and takes as long as it takes.
    pub(super) fn strike(&mut self, fault: StoreFault) -> Result<(), BoxError> {
        let from = now();
        let what = match (fault, &mut self.kind) {
            (StoreFault::Kill(down), kind) => kind.crash(down),
            (StoreFault::Freeze(time), kind) => kind.freeze(time),
            (StoreFault::Slow(time), kind) => kind.slow_down(time),
            (StoreFault::Lock(time), Kind::Sqlite(disk)) => disk.lock(time)?,
            (StoreFault::Lock(time), Kind::Postgres(server)) => lock_tables(server, time, self.mode),
            (StoreFault::Lock(time), Kind::Redis(server)) => {
                server.cli(&["client", "pause", &time.as_millis().to_string(), "ALL"]);
                thread::sleep(time);
                What::Locked
            }
            (StoreFault::Disconnect, Kind::Postgres(server)) => {
                server.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
                );
                What::Disconnected
            }
            (StoreFault::ForgetScripts, Kind::Redis(server)) => {
                server.cli(&["script", "flush"]);
                What::ScriptsForgotten
            }
            (StoreFault::FillDisk(time), Kind::Sqlite(disk)) => disk.fill(time)?,
            (StoreFault::Disconnect | StoreFault::ForgetScripts | StoreFault::FillDisk(_), _) => return Ok(()),
        };
        self.incidents.add(what, Whom::Store, from, now());
        Ok(())
    }
}

impl Kind {
    fn crash(&mut self, down: Duration) -> What {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(server) => {
                server.kill();
                thread::sleep(down);
                server.restart();
            }
            Self::Redis(server) => {
                server.kill();
                thread::sleep(down);
                server.restart();
            }
        }
        What::Killed
    }

    fn freeze(&self, time: Duration) -> What {
        self.stop();
        thread::sleep(time);
        self.go_on();
        What::Frozen
    }

    fn slow_down(&self, time: Duration) -> What {
        let from = now();
        while now() < from + time {
            self.stop();
            thread::sleep(SLOW.1);
            self.go_on();
            thread::sleep(SLOW.0);
        }
        What::Slowed
    }

    fn stop(&self) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(server) => server.freeze(),
            Self::Redis(server) => server.freeze(),
        }
    }

    fn go_on(&self) {
        match self {
            Self::Sqlite(_) => {}
            Self::Postgres(server) => server.thaw(),
            Self::Redis(server) => server.thaw(),
        }
    }
}

fn lock_tables(server: &PostgresServer, time: Duration, mode: Mode) -> What {
    let table = if mode == Mode::Inbox { INBOX } else { CLAIMS };
    let seconds = time.as_secs_f64();
    server.sql(&format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({seconds}); COMMIT"));
    What::Locked
}

/// The folder of a SQLite file: a small disk of its own where that can be mounted.
struct Disk {
    is_mounted: bool,
    remover: Child,
    folder: Folder,
}

impl Disk {
    fn new() -> io::Result<Self> {
        let folder = Folder::new("storm-disk");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={DISK_MIB}m"), "tmpfs"]).arg(folder.path());
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        Ok(Self { is_mounted, remover: remover(folder.path())?, folder })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("events.sqlite")
    }

    fn lock(&self, time: Duration) -> Result<What, BoxError> {
        let connection = Connection::open(self.file())?;
        // Writers come and go: it gets its turn.
        connection.busy_timeout(Duration::from_secs(30))?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        thread::sleep(time);
        connection.execute_batch("ROLLBACK")?;
        Ok(What::Locked)
    }

    fn fill(&self, time: Duration) -> Result<What, BoxError> {
        let filler = self.folder.path().join("filler");
        let is_full = std::fs::write(&filler, vec![0; DISK_MIB * 1_024 * 1_024]).is_err();
        thread::sleep(time);
        std::fs::remove_file(&filler)?;
        if is_full { Ok(What::DiskFull) } else { Err("the disk could not be filled".into()) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_mounted {
            // Lazily: a process may just be ending that has the file open.
            let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
        }
        let _ = self.remover.kill();
        let _ = self.remover.wait();
    }
}

/// Removes the disk when this process ends without dropping it: a watching shell sees its pipe
/// close. Ctrl-C, which all processes of a terminal get, does not end the shell.
fn remover(disk: &Path) -> io::Result<Child> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' INT; read -r _; umount -l \"$0\"; rm -rf \"$0\""]).arg(disk);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}
