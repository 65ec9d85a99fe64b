//! The file: what cannot be a store is refused and left alone, and what is one may be opened by many at once.

use std::{fs, path::PathBuf};

use circa_receiver::{DedupStore, SqliteStore};

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
