//! The SQLite store: what every store must do, and what only one in a file must: shared by
//! processes, it outlives them.

mod crash;
mod file;
mod queue;
mod space;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use circa_receiver::{
    DedupStore, SqliteStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, StoreError, Token},
    testing::store_tests::{self, Subject},
};
use rusqlite::Connection;

const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);
const DONE: ClaimAnswer = ClaimAnswer::Done { same_body: true };

/// A folder of its own for each test, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("circa-receiver-sqlite-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("claims.sqlite")
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(self.file()).unwrap()
    }

    /// The file, seen past the store.
    fn connection(&self) -> Connection {
        Connection::open(self.file()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn subject() -> Subject {
    let folder = Folder::new();
    Subject::new(folder.store()).entries(100_000).in_flight(256).keep(folder)
}

circa_receiver::store_tests!(subject);

/// Time passes for all rows at once, past the store.
async fn with_time_that_moves() -> Subject {
    let folder = Folder::new();
    let (store, rows) = (folder.store(), Mutex::new(folder.connection()));
    let pass = move |time: Duration| {
        rows.lock().unwrap().execute("UPDATE claims SET ends = ends - ?1", [time.as_millis() as i64]).unwrap();
        std::future::ready(())
    };
    Subject::new(store).passing(pass).keep(folder)
}

#[test]
fn random_traces_in_moving_time_are_answered_as_by_the_model() {
    store_tests::run(with_time_that_moves, store_tests::behaviours::random_traces_are_answered_as_by_the_model);
}

async fn try_claim(store: &SqliteStore, key: &Key, nonce: u128) -> Result<ClaimAnswer, StoreError> {
    store.claim(ClaimRequest::new(key, Fingerprint::from_bytes([1; 32]), Nonce::new(nonce), LEASE, RETENTION)).await
}

async fn claim(store: &SqliteStore, key: &Key, nonce: u128) -> ClaimAnswer {
    try_claim(store, key, nonce).await.unwrap()
}

async fn win(store: &SqliteStore, key: &Key, nonce: u128) -> Token {
    match claim(store, key, nonce).await {
        ClaimAnswer::Won(token) => token,
        other => panic!("{key:?} was not won: {other:?}"),
    }
}

async fn complete(store: &SqliteStore, key: &Key, token: Token) -> bool {
    store.complete(key, token, RETENTION).await.unwrap()
}

fn key(id: impl std::fmt::Display) -> Key {
    Key::new("circa", &format!("evt_{id}"))
}

fn count(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM claims", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_is_claimed_and_done_outlives_the_store() {
    let folder = Folder::new();
    let store = folder.store();
    let held = win(&store, &key("held"), 1).await;
    let done = win(&store, &key("done"), 2).await;
    assert!(complete(&store, &key("done"), done).await);
    drop(store);
    let store = folder.store();
    assert!(matches!(claim(&store, &key("held"), 3).await, ClaimAnswer::InProgress { .. }));
    assert_eq!(claim(&store, &key("held"), 1).await, ClaimAnswer::Won(held), "the same delivery repeats its claim");
    assert_eq!(claim(&store, &key("done"), 3).await, DONE);
}

/// Contract, section 7: a token rises with every take-over of a key, also when nothing of the key
/// is left in the file.
#[tokio::test]
async fn tokens_rise_when_their_rows_and_the_store_are_gone() {
    let folder = Folder::new();
    let mut last = Token::new(0);
    for nonce in 0..5 {
        let store = folder.store();
        let token = win(&store, &key("1"), nonce).await;
        assert!(token > last, "{token:?} does not rise above {last:?}");
        assert!(store.release(&key("1"), token).await.unwrap());
        assert_eq!(count(&folder.connection()), 0);
        last = token;
    }
}

/// Contract, section 7: `claim` is one atomic operation in the store: here of two stores, as two
/// processes have them, on one file.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn of_two_stores_on_one_file_exactly_one_wins_each_key() {
    const KEYS: usize = 300;
    let folder = Folder::new();
    let stores = [Arc::new(folder.store()), Arc::new(folder.store())];
    let won: Arc<Vec<AtomicUsize>> = Arc::new((0..KEYS).map(|_| AtomicUsize::new(0)).collect());
    let done = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..16_usize)
        .map(|task| {
            let (store, won, done) = (Arc::clone(&stores[task % 2]), Arc::clone(&won), Arc::clone(&done));
            tokio::spawn(async move {
                for (index, won) in won.iter().enumerate() {
                    if let ClaimAnswer::Won(token) = claim(&store, &key(index), (task * KEYS + index) as u128).await {
                        won.fetch_add(1, Ordering::SeqCst);
                        done.fetch_add(usize::from(complete(&store, &key(index), token).await), Ordering::SeqCst);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for (index, won) in won.iter().enumerate() {
        assert_eq!(won.load(Ordering::SeqCst), 1, "key {index}");
    }
    assert_eq!(done.load(Ordering::SeqCst), KEYS);
    for store in &stores {
        assert_eq!(claim(store, &key(0), u128::MAX).await, DONE, "what one has done, the other knows");
    }
}

/// Contract, section 7: fencing, with the two holders in two stores.
#[tokio::test]
async fn a_token_is_fenced_across_stores() {
    let folder = Folder::new();
    let (first, second) = (folder.store(), folder.store());
    let stale = win(&first, &key("1"), 1).await;
    folder.connection().execute("UPDATE claims SET ends = 0", []).unwrap();
    let token = win(&second, &key("1"), 2).await;
    assert!(token > stale);
    assert!(!complete(&first, &key("1"), stale).await);
    assert!(!first.release(&key("1"), stale).await.unwrap());
    assert!(!first.renew(&key("1"), stale, LEASE).await.unwrap());
    assert!(complete(&second, &key("1"), token).await);
}

/// Durations that reach beyond the end of time do not overflow, and tokens that cannot be are
/// nobody's.
#[tokio::test]
async fn extremes_hold() {
    let folder = Folder::new();
    let store = folder.store();
    let key = key("endless");
    let request =
        ClaimRequest::new(&key, Fingerprint::from_bytes([1; 32]), Nonce::new(u128::MAX), Duration::MAX, Duration::MAX);
    let ClaimAnswer::Won(token) = store.claim(request).await.unwrap() else { panic!("not won") };
    for other in [Token::new(0), Token::new(u64::MAX), Token::new(1 << 63)] {
        assert!(!store.complete(&key, other, RETENTION).await.unwrap(), "{other:?}");
    }
    assert!(matches!(claim(&store, &key, 1).await, ClaimAnswer::InProgress { .. }));
    assert!(store.renew(&key, token, Duration::MAX).await.unwrap());
    assert!(store.complete(&key, token, Duration::MAX).await.unwrap());
    assert_eq!(claim(&store, &key, 2).await, DONE);
}
