//! The SQLite store: what every store must do, and what only one in a file must: shared by processes, it outlives them.

mod crash;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore, SqliteStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, StoreError, Token},
    testing::store_tests::Subject,
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
    Subject::new(folder.store()).in_flight(256).keep(folder)
}

circa_receiver::store_tests!(subject);

async fn try_claim(store: &SqliteStore, key: &Key, nonce: u128) -> Result<ClaimAnswer, StoreError> {
    store.claim(ClaimRequest::new(key, Fingerprint::from_bytes([1; 32]), Nonce(nonce), LEASE, RETENTION)).await
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

/// Contract, section 7: a token rises with every take-over of a key, also when nothing of the key is left in the file.
#[tokio::test]
async fn tokens_rise_when_their_rows_and_the_store_are_gone() {
    let folder = Folder::new();
    let mut last = Token(0);
    for nonce in 0..5 {
        let store = folder.store();
        let token = win(&store, &key("1"), nonce).await;
        assert!(token > last, "{token:?} does not rise above {last:?}");
        assert!(store.release(&key("1"), token).await.unwrap());
        assert_eq!(count(&folder.connection()), 0);
        last = token;
    }
}

/// Contract, section 7: `claim` is one atomic operation in the store: here of two stores, as two processes have them, on one file.
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

/// Many processes may start at once, where there is no file yet.
#[test]
fn stores_that_make_the_same_file_at_once_share_it() {
    for round in 0..10 {
        let folder = Folder::new();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| folder.store());
            }
        });
        assert_eq!(count(&folder.connection()), 0, "round {round}");
    }
}

#[test]
fn files_that_cannot_be_a_store_are_refused_and_left_alone() {
    type Prepare = fn(&Folder) -> PathBuf;
    let rows: [(&str, Prepare, &str); 8] = [
        ("no directory", |folder| folder.0.join("absent/claims.sqlite"), "does not exist: create it"),
        (
            "a text",
            |folder| {
                fs::write(folder.file(), "a text of some length that is no database at all. ".repeat(100)).unwrap();
                folder.file()
            },
            "is no SQLite database",
        ),
        (
            "a short text",
            |folder| {
                fs::write(folder.file(), "short").unwrap();
                folder.file()
            },
            "is no SQLite database",
        ),
        (
            "a database of something else",
            |folder| {
                folder.connection().execute_batch("CREATE TABLE claims (id)").unwrap();
                folder.file()
            },
            "of something else",
        ),
        (
            "a database of something else, with our version",
            |folder| {
                folder.connection().execute_batch("CREATE TABLE claims (id); PRAGMA user_version = 1").unwrap();
                folder.file()
            },
            "of something else",
        ),
        (
            "another version",
            |folder| {
                drop(folder.store());
                folder.connection().execute_batch("PRAGMA user_version = 2").unwrap();
                folder.file()
            },
            "has schema version 2",
        ),
        ("a directory", |folder| folder.0.clone(), "cannot be opened"),
        ("no name", |_| PathBuf::new(), "cannot be opened"),
    ];
    for (name, prepare, reason) in rows {
        let folder = Folder::new();
        let path = prepare(&folder);
        let before = fs::read(&path).ok();
        let error = SqliteStore::open(&path).expect_err(name);
        assert!(error.to_string().contains(reason), "{name}: {error}");
        assert_eq!(format!("{error:?}"), error.to_string(), "{name}");
        assert_eq!(fs::read(&path).ok(), before, "{name}: the file was changed");
    }
}

/// A path is a path: what SQLite would take for a URI or for memory is a file too.
#[tokio::test]
async fn a_path_is_never_a_uri() {
    let folder = Folder::new();
    for name in ["file:claims?mode=memory", "claims%20.sqlite", "ü 'claims'.sqlite"] {
        let path = folder.0.join(name);
        let store = SqliteStore::open(&path).unwrap();
        win(&store, &key("1"), 1).await;
        assert!(path.is_file(), "{name}");
    }
}

/// A program that holds the file's lock makes calls fail, all in time, and not more of them wait than there is room for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_locked_file_fails_calls_in_time_and_recovers() {
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    let other = folder.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = Instant::now();
    // One waits for the lock, the queue is full of others, and the rest is refused at once.
    let first = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { try_claim(&store, &key("first"), 0).await })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let calls: Vec<_> = (1..=1_100_u128)
        .map(|call| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let answer = tokio::time::timeout(Duration::from_secs(1), try_claim(&store, &key(call), call)).await;
                answer.map(|answer| answer.unwrap_err().to_string())
            })
        })
        .collect();
    let mut refused = 0;
    for call in calls {
        // Those that wait in vain for a second are dropped, as a receiver drops them after two.
        if let Ok(error) = call.await.unwrap() {
            assert!(error.contains("1024 calls wait") || error.contains("locked"), "{error}");
            refused += usize::from(error.contains("1024 calls wait"));
        }
    }
    assert!((1..=1_100 - 1_024).contains(&refused), "{refused} were refused at once");
    let error = first.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("locked"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    // The queue is empty once the thread has passed over what was dropped.
    let check = async || loop {
        match store.check().await {
            Err(error) if error.to_string().contains("1024 calls wait") => tokio::task::yield_now().await,
            answer => break answer.map_err(|error| error.to_string()),
        }
    };
    assert!(check().await.unwrap_err().contains("locked"), "it says so");
    other.execute_batch("ROLLBACK").unwrap();
    check().await.unwrap();
    win(&store, &key("first"), 1).await;
    assert_eq!(count(&folder.connection()), 1, "what failed was done");
}

/// Nobody waits for them: done all the same, they would hold their events until the lease ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_dropped_while_they_queue_are_not_done() {
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    let other = folder.connection();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let first = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { try_claim(&store, &key("first"), 0).await })
    };
    // Until the thread has taken it, and waits for the lock.
    tokio::time::sleep(Duration::from_millis(200)).await;
    for call in 1..=50 {
        let dropped = tokio::time::timeout(Duration::from_millis(1), try_claim(&store, &key(call), call)).await;
        assert!(dropped.is_err(), "call {call} did not wait");
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(first.await.unwrap(), Ok(ClaimAnswer::Won(_))));
    store.check().await.unwrap();
    assert_eq!(count(&other), 1);
}

#[tokio::test]
async fn a_file_that_was_removed_is_told() {
    let folder = Folder::new();
    let store = folder.store();
    store.check().await.unwrap();
    fs::remove_file(folder.file()).unwrap();
    let error = store.check().await.unwrap_err().to_string();
    assert!(error.contains("was removed"), "{error}");
}

/// Contract, section 7: bounded. Rows whose time is long over go, a bounded number with each group; those of late holders stay for a while.
#[tokio::test]
async fn rows_whose_time_is_over_are_swept_in_steps() {
    let folder = Folder::new();
    let store = folder.store();
    let other = folder.connection();
    other
        .execute_batch(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO claims (key, hash, fingerprint, holder, ends) SELECT CAST('old' || i AS BLOB), i, zeroblob(32), NULL, 1000 FROM n;",
        )
        .unwrap();
    let late = win(&store, &key("late"), 1).await;
    other.execute("UPDATE claims SET ends = unixepoch() * 1000 - 1000 WHERE token = ?1", [late.0 as i64]).unwrap();
    let mut left = count(&other);
    let started = Instant::now();
    while left > 1 {
        store.check().await.unwrap();
        let now = count(&other);
        assert!((0..=512).contains(&(left - now)), "{} at once", left - now);
        left = now;
        assert!(started.elapsed() < Duration::from_secs(20), "{left} are left");
    }
    assert!(complete(&store, &key("late"), late).await, "a late holder completes what nobody took over");
    assert_eq!(claim(&store, &key("late"), 2).await, DONE);
}

/// Statements go by an index, however many rows there are.
#[test]
fn no_statement_scans_the_table() {
    let folder = Folder::new();
    drop(folder.store());
    let connection = folder.connection();
    for (statement, index) in [
        ("SELECT token FROM claims WHERE hash = 0 AND key = x'00'", "INDEX claims_by_hash"),
        ("DELETE FROM claims WHERE hash = 0 AND key = x'00' AND holder IS NULL AND ends > 0", "INDEX claims_by_hash"),
        ("UPDATE claims SET ends = 0 WHERE token = 1 AND key = x'00'", "INTEGER PRIMARY KEY"),
        ("SELECT token FROM claims WHERE ends <= 0 ORDER BY ends LIMIT 512", "COVERING INDEX claims_by_end"),
    ] {
        let plan: String =
            connection.query_row(&format!("EXPLAIN QUERY PLAN {statement}"), [], |row| row.get("detail")).unwrap();
        assert!(plan.starts_with(&format!("SEARCH claims USING {index}")), "{statement}: {plan}");
    }
}

/// Durations that reach beyond the end of time do not overflow, and tokens that cannot be are nobody's.
#[tokio::test]
async fn extremes_hold() {
    let folder = Folder::new();
    let store = folder.store();
    let key = key("endless");
    let request =
        ClaimRequest::new(&key, Fingerprint::from_bytes([1; 32]), Nonce(u128::MAX), Duration::MAX, Duration::MAX);
    let ClaimAnswer::Won(token) = store.claim(request).await.unwrap() else { panic!("not won") };
    for other in [Token(0), Token(u64::MAX), Token(1 << 63)] {
        assert!(!store.complete(&key, other, RETENTION).await.unwrap(), "{other:?}");
    }
    assert!(matches!(claim(&store, &key, 1).await, ClaimAnswer::InProgress { .. }));
    assert!(store.renew(&key, token, Duration::MAX).await.unwrap());
    assert!(store.complete(&key, token, Duration::MAX).await.unwrap());
    assert_eq!(claim(&store, &key, 2).await, DONE);
}

/// As the documentation says: about 170 B an entry with an event id of 40 bytes.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_takes_a_few_hundred_bytes() {
    let entries: usize = std::env::var("CIRCA_SQLITE_ENTRIES").map_or(20_000, |entries| entries.parse().unwrap());
    let folder = Folder::new();
    let store = Arc::new(folder.store());
    let started = Instant::now();
    let tasks: Vec<_> = (0..250)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for entry in (task..entries).step_by(250) {
                    // Ids of 40 bytes in no order, as senders' are.
                    let scattered = (entry as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
                    let key = Key::new("circa", &format!("evt_{scattered:036x}"));
                    let token = win(&store, &key, entry as u128).await;
                    assert!(complete(&store, &key, token).await);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let took = started.elapsed();
    folder.connection().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let bytes = fs::metadata(folder.file()).unwrap().len() / entries as u64;
    println!(
        "{entries} entries: {bytes} B each, {:.0} claims and completes a second",
        2.0 * entries as f64 / took.as_secs_f64()
    );
    assert!(bytes <= 220, "{bytes} B an entry");
}
