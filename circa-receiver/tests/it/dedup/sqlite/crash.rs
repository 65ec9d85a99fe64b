//! A process that is killed while it claims: every answer that it had is in the file.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use circa_receiver::{SqliteStore, dedup::Token};
use rusqlite::Connection;

use super::{DONE, Folder, claim, complete, key, win};

const CRASH_FILE: &str = "CIRCA_SQLITE_CRASH_FILE";
const CRASH_ROUND: &str = "CIRCA_SQLITE_CRASH_ROUND";

/// The process that is killed: claims and completes, and says what was answered, until it is no
/// more.
#[test]
#[ignore = "the crash test runs it, in a process of its own"]
fn claims_until_it_is_killed() {
    let (Ok(file), Ok(round)) = (std::env::var(CRASH_FILE), std::env::var(CRASH_ROUND)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Arc::new(SqliteStore::open(file).unwrap());
        let nonce: u128 = round.parse().unwrap();
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let (store, round) = (Arc::clone(&store), round.clone());
                tokio::spawn(async move {
                    for entry in 0.. {
                        let id = format!("{round}_{task}_{entry}");
                        let token = win(&store, &key(&id), nonce).await;
                        assert!(complete(&store, &key(&id), token).await);
                        let mut out = std::io::stdout().lock();
                        writeln!(out, "answered {id} {}", token.get()).unwrap();
                        out.flush().unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn killed_in_the_middle(file: &Path, round: usize) -> Vec<(String, Token)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dedup::sqlite::crash::claims_until_it_is_killed", "--ignored", "--nocapture"])
        .env(CRASH_FILE, file)
        .env(CRASH_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut answered = Vec::new();
    for line in lines {
        if let Some((id, token)) = line.strip_prefix("answered ").and_then(|rest| rest.split_once(' ')) {
            answered.push((id.to_owned(), Token::new(token.parse().unwrap())));
        }
        // A different moment in every round. What it had written by then is still read.
        if answered.len() == 200 + 97 * round {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "round {round}: it ended before it was killed");
    assert!(answered.len() >= 200, "round {round}: {} answers", answered.len());
    answered
}

/// Contract, section 7: done events are remembered: an answer holds, whatever happens to the
/// process after it.
#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = Folder::new();
    let mut answered = Vec::new();
    for round in 0..5 {
        answered.extend(killed_in_the_middle(&folder.file(), round));
        let store = folder.store();
        for (id, _) in &answered {
            assert_eq!(claim(&store, &key(id), u128::MAX).await, DONE, "round {round}: {id} was forgotten");
        }
        let last = answered.iter().map(|(_, token)| *token).max().unwrap();
        let token = win(&store, &key(format!("after {round}")), u128::MAX).await;
        assert!(token > last, "round {round}: {token:?} does not rise above {last:?}");
        assert_eq!(integrity(&folder.connection()), "ok", "round {round}");
    }
}

fn integrity(connection: &Connection) -> String {
    connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
}
