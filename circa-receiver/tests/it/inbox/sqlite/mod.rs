//! The SQLite inbox: what every inbox must do, and what only one in a file must: shared by
//! processes and with a dedup store, it outlives them.

mod crash;
mod latency;
mod one_truth;
mod plans;
mod transactions;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use bytes::Bytes;
use circa_receiver::{
    SqliteInbox,
    dedup::Nonce,
    inbox::{AcceptRequest, Accepted, Entry, Inbox, Interest, LeaseRequest, Leased, Settlement},
    testing::{FakeClock, inbox_tests::Subject},
};
use rusqlite::Connection;

const RETENTION: Duration = Duration::from_secs(600);
const LEASE: Duration = Duration::from_secs(60);

/// A folder of its own for each test, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("circa-receiver-inbox-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("inbox.sqlite")
    }

    fn inbox(&self, clock: &FakeClock) -> SqliteInbox {
        SqliteInbox::open_with_clock(self.file(), clock.clone()).unwrap()
    }

    /// The file, seen past the inbox.
    fn connection(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn clock() -> FakeClock {
    FakeClock::at(1_747_000_800)
}

async fn subject() -> Subject {
    let (folder, clock) = (Folder::new(), clock());
    let inbox = folder.inbox(&clock);
    // `INBOX_ENTRIES=200000` takes minutes, with `--release` one.
    let entries = std::env::var("INBOX_ENTRIES").map_or(10_000, |entries| entries.parse().unwrap());
    let subject = Subject::new(inbox, move |time| {
        clock.advance(time);
        std::future::ready(())
    });
    subject.entries(entries).keep(folder)
}

circa_receiver::inbox_tests!(subject);

fn entry(id: &str) -> Entry {
    Entry::from_parts("circa", id, "a.type", "{}", Bytes::from_static(b"{}"))
}

async fn accept(inbox: &SqliteInbox, id: &str) -> Accepted {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    // Other processes accept in the same file.
    let nonce = u128::from(std::process::id()) << 64 | NEXT.fetch_add(1, Ordering::Relaxed) as u128;
    let nonce = Nonce::new(nonce);
    inbox.accept(AcceptRequest::new(entry(id), nonce)).await.unwrap()
}

async fn lease(inbox: &SqliteInbox) -> Vec<Leased> {
    inbox.lease(LeaseRequest::new("a test", &[Interest::all("circa")], 100, LEASE)).await.unwrap()
}

/// Contract, section 8a: a crash at any point loses nothing; the backoff is stored in the engine.
#[tokio::test]
async fn what_was_accepted_its_backoff_and_its_attempts_outlive_the_inbox() {
    let (folder, clock) = (Folder::new(), clock());
    let inbox = folder.inbox(&clock);
    for id in ["ready", "running", "failed"] {
        assert_eq!(accept(&inbox, id).await, Accepted::New);
    }
    for leased in lease(&inbox).await {
        let settlement = match leased.entry().event_id() {
            "ready" => Settlement::GiveBack,
            "failed" => Settlement::Retry { after: 2 * LEASE, error: "away".to_owned() },
            _ => continue,
        };
        assert!(inbox.settle(leased.lease(), settlement).await.unwrap());
    }
    drop(inbox);
    let inbox = folder.inbox(&clock);
    assert_eq!(accept(&inbox, "ready").await, Accepted::Known { same_body: true });
    for (name, attempt) in [("ready", 1), ("running", 2), ("failed", 2)] {
        let leased = lease(&inbox).await;
        let told: Vec<_> = leased.iter().map(|leased| (leased.entry().event_id(), leased.attempt())).collect();
        assert_eq!(told, [(name, attempt)]);
        assert!(inbox.settle(leased[0].lease(), Settlement::Complete { retention: RETENTION }).await.unwrap());
        clock.advance(LEASE);
    }
}

/// What has ended goes with all that was kept of it; what is dead stays.
#[tokio::test]
async fn what_is_over_is_swept_with_all_that_was_kept_of_it() {
    let (folder, clock) = (Folder::new(), clock());
    let inbox = folder.inbox(&clock);
    for id in ["done", "dead"] {
        accept(&inbox, id).await;
    }
    for leased in lease(&inbox).await {
        let error = "never".to_owned();
        let settlement = match leased.entry().event_id() {
            "done" => Settlement::Complete { retention: RETENTION },
            _ => Settlement::Bury { cause: circa_receiver::inbox::Cause::Permanent, error },
        };
        assert!(inbox.settle(leased.lease(), settlement).await.unwrap());
    }
    drop(inbox);
    clock.advance(RETENTION + Duration::from_secs(3_600));
    // The first group of a writer sweeps.
    folder.inbox(&clock).check().await.unwrap();
    for (table, column) in [("inbox", "event"), ("inbox JOIN inbox_bodies USING (id)", "event")] {
        let left = format!("SELECT group_concat({column}) FROM {table}");
        let left: String = folder.connection().query_row(&left, [], |row| row.get(0)).unwrap();
        assert_eq!(left, "dead", "{table}");
    }
}
