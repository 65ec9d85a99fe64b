//! What the file holds: swept in steps, found by an index, and small.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use circa_receiver::{DedupStore, dedup::Key};

use super::{DONE, Folder, claim, complete, count, key, win};

/// Contract, section 7: bounded. Each group removes a bounded number of rows that ended long ago;
/// rows of late holders stay for a while.
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
    other.execute("UPDATE claims SET ends = unixepoch() * 1000 - 1000 WHERE token = ?1", [late.get() as i64]).unwrap();
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

/// While another program reads, the WAL only grows. Once it has ended, the next checkpoints cut it.
#[tokio::test]
async fn the_wal_shrinks_again_when_a_reader_has_ended() {
    const MIB: u64 = 1 << 20;
    let folder = Folder::new();
    let store = folder.store();
    win(&store, &key("first"), 1).await;
    let wal = || fs::metadata(format!("{}-wal", folder.file().display())).unwrap().len() / MIB;
    let reader = folder.connection();
    reader.execute_batch("BEGIN; SELECT count(*) FROM claims").unwrap();
    // As many claims would, in pages that another connection writes.
    let writer = folder.connection();
    writer.execute_batch("PRAGMA wal_autocheckpoint = 0; CREATE TABLE filler (bytes BLOB)").unwrap();
    writer.execute_batch("INSERT INTO filler VALUES (zeroblob(100 << 20))").unwrap();
    win(&store, &key("beside the reader"), 2).await;
    assert!(wal() >= 100, "{} MiB", wal());
    reader.execute_batch("COMMIT").unwrap();
    // The first commit is followed by a checkpoint, and the next ones begin the WAL anew.
    for nonce in 3..6 {
        win(&store, &key(format!("after it {nonce}")), nonce).await;
    }
    assert!(wal() <= 64, "{} MiB", wal());
}
