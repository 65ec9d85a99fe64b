//! The example that books credits: each exactly once, wherever its process is killed.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use circa_receiver::inbox::rusqlite::Connection;
use circa_receiver_test_support::Folder;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::support::{CIRCA_SECRET, Process, Reference, circa, event, turn};

const CREDITS: Reference = Reference { name: "credits", binary: env!("CARGO_BIN_EXE_credits") };

/// Longer than any lease: a hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A file of credits, and who sends pulls to its receiver.
struct Book {
    folder: Folder,
}

impl Book {
    fn new() -> Self {
        Self { folder: Folder::new("credits") }
    }

    async fn start(&self, die_at: &str) -> Process {
        let database = self.folder.path().join("credits.sqlite").to_str().unwrap().to_owned();
        let secret = ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET.to_owned());
        CREDITS.start_with(&[secret, ("DATABASE", database), ("DIE_AT", die_at.to_owned())]).await
    }

    fn connection(&self) -> Connection {
        Connection::open(self.folder.path().join("credits.sqlite")).unwrap()
    }

    /// How many events are ready, run, or wait for the lease of a process that is gone.
    fn left(&self) -> u32 {
        let left = "SELECT count(*) FROM inbox WHERE state < 2";
        self.connection().query_row(left, [], |row| row.get(0)).unwrap()
    }

    async fn is_worked_off(&self) {
        let worked_off = async {
            while self.left() > 0 {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(PATIENCE, worked_off).await.unwrap_or_else(|_| panic!("{} events are left", self.left()));
    }

    /// How often each event is booked.
    fn booked(&self) -> BTreeMap<String, u32> {
        let connection = self.connection();
        let mut booked = connection.prepare("SELECT event, count(*) FROM credits GROUP BY event").unwrap();
        booked.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    }
}

/// Contract, section 8a: the handler's own writes and the completion commit together, or neither:
/// every point between two steps of the handler.
#[tokio::test]
async fn a_process_that_dies_between_two_steps_books_once() {
    let _turn = turn::unhurried().await;
    let mut points = JoinSet::new();
    for (point, before) in [("begun", 0), ("booked", 0), ("completed", 0), ("committed", 1)] {
        points.spawn(async move {
            let book = Book::new();
            let process = book.start(point).await;
            // The process may die before it answers, as far as its sender can tell.
            let _ = circa(event("evt_1")).try_send(process.address).await;
            let ended = process.end().await;
            assert_ne!(ended.code, Some(0), "{point}: it did not die");
            assert_eq!(book.booked().values().sum::<u32>(), before, "{point}: booked when it died");

            let process = book.start("").await;
            let answer = circa(event("evt_1")).send(process.address).await;
            assert_eq!(answer.told(), (200, Some("duplicate")), "{point}");
            book.is_worked_off().await;
            process.stop().await;
            assert_eq!(book.booked(), BTreeMap::from([("evt_1".to_owned(), 1)]), "{point}");
        });
    }
    points.join_all().await;
}

/// The same for any point: `kill -9` while events come in.
#[tokio::test]
async fn a_process_that_is_killed_at_any_moment_books_each_event_once() {
    const KILLS: usize = 4;
    const EVENTS: usize = 40;
    let _turn = turn::unhurried().await;
    let book = Book::new();
    let mut sent = Vec::new();
    for round in 0..=KILLS {
        let process = book.start("").await;
        let ids = EVENTS * round..EVENTS * (round + 1);
        sent.extend(answered(&process, ids).await);
        if round < KILLS {
            // The handlers of the last events run, or wait for their turn.
            process.kill().await;
        } else {
            book.is_worked_off().await;
            process.stop().await;
        }
    }
    let booked = book.booked();
    let times = |id: &String| booked.get(id).copied().unwrap_or(0);
    let wrong: Vec<_> = sent.iter().map(|id| (id, times(id))).filter(|(_, times)| *times != 1).collect();
    assert!(wrong.is_empty(), "of {} events these were not booked once: {wrong:?}", sent.len());
    assert_eq!(booked.len(), EVENTS * (KILLS + 1));
}

/// Sends events, all at once, until each is answered 2xx.
async fn answered(process: &Process, ids: Range<usize>) -> Vec<String> {
    let mut senders = JoinSet::new();
    for id in ids {
        let address = process.address;
        senders.spawn(async move {
            let id = format!("evt_{id}");
            assert_eq!(circa(event(&id)).send(address).await.told(), (202, Some("accepted")), "{id}");
            id
        });
    }
    senders.join_all().await
}
