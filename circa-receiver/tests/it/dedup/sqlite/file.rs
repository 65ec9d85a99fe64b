//! The file: what cannot be a store is refused and left alone, and what is one may be opened by
//! many at once.

use std::{fs, path::PathBuf};

use circa_receiver::{DedupStore, SqliteStore};
use circa_receiver_test_support::wait_until;

use super::{Folder, RETENTION, count, key, try_claim, win};

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

type Prepare = fn(&Folder) -> PathBuf;

/// Files that cannot be a store: a name, how each is made, and what the error says.
fn refused() -> [(&'static str, Prepare, &'static str); 8] {
    [
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
                // A store closes its file in a thread of its own, which then writes to it.
                let log = folder.0.join("claims.sqlite-wal");
                wait_until("the store has closed its file", || !log.exists());
                folder.connection().execute_batch("PRAGMA user_version = 4003").unwrap();
                folder.file()
            },
            "has schema version 4",
        ),
        ("a directory", |folder| folder.0.clone(), "cannot be opened"),
        ("no name", |_| PathBuf::new(), "cannot be opened"),
    ]
}

/// While a new version is rolled out, the old one goes on with the file that the new one has
/// changed, and changes nothing.
#[tokio::test]
async fn a_newer_version_that_this_one_can_use_is_used() {
    let folder = Folder::new();
    drop(folder.store());
    for newer in [3_001, 3_002, 4_001] {
        folder.connection().pragma_update(None, "user_version", newer).unwrap();
        let store = folder.store();
        win(&store, &key(newer), 1).await;
        store.check().await.unwrap();
        let found: i32 = folder.connection().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(found, newer);
    }
}

/// The first version wrote its number alone, and had no inbox.
#[tokio::test]
async fn a_file_of_the_first_version_is_brought_up_to_date() {
    let folder = Folder::new();
    let store = folder.store();
    win(&store, &key("before"), 1).await;
    drop(store);
    let tables = "DROP TABLE inbox_failures; DROP TABLE inbox_bodies; DROP TABLE inbox; DROP TABLE inbox_pauses";
    folder.connection().execute_batch(tables).unwrap();
    folder.connection().execute_batch("PRAGMA user_version = 1").unwrap();
    let store = folder.store();
    win(&store, &key("before"), 1).await;
    let found: i32 = folder.connection().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(found, 2_001);
    folder.connection().execute_batch("SELECT id FROM inbox").unwrap();
}

#[test]
fn files_that_cannot_be_a_store_are_refused_and_left_alone() {
    for (name, prepare, reason) in refused() {
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

#[tokio::test]
async fn every_call_fails_once_the_file_was_removed() {
    let folder = Folder::new();
    let store = folder.store();
    let token = win(&store, &key("1"), 1).await;
    fs::remove_file(folder.file()).unwrap();
    for (call, error) in [
        ("check", store.check().await.unwrap_err()),
        ("claim", try_claim(&store, &key("2"), 2).await.unwrap_err()),
        ("complete", store.complete(&key("1"), token, RETENTION).await.unwrap_err()),
    ] {
        assert!(error.to_string().contains("was removed or replaced"), "{call}: {error}");
    }
}

/// Two stores would each have a file of their own at one path, and both would win the same event.
#[tokio::test]
async fn no_event_is_won_in_a_file_that_was_replaced() {
    let folder = Folder::new();
    let old = folder.store();
    win(&old, &key("before"), 1).await;
    old.check().await.unwrap();
    for neighbour in ["", "-wal", "-shm"] {
        let path = format!("{}{neighbour}", folder.file().display());
        fs::rename(&path, format!("{path}.old")).unwrap();
    }
    let new = folder.store();
    let error = try_claim(&old, &key("1"), 1).await.unwrap_err().to_string();
    assert!(error.contains("was removed or replaced"), "{error}");
    assert!(old.check().await.is_err());
    win(&new, &key("1"), 2).await;
    new.check().await.unwrap();
}
