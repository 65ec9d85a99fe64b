//! A process that is killed while it accepts and works: every event that it answered is in the
//! file, and comes to its end.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use circa_receiver::{
    SqliteInbox,
    inbox::{Accepted, Inbox, Interest, LeaseRequest, Settlement},
};

use super::{Folder, RETENTION, accept, lease};

const CRASH_FILE: &str = "CIRCA_INBOX_CRASH_FILE";
const CRASH_ROUND: &str = "CIRCA_INBOX_CRASH_ROUND";

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// The process that is killed: accepts and completes, and says what was answered, until it is no
/// more.
#[test]
#[ignore = "the crash test runs it, in a process of its own"]
fn works_until_it_is_killed() {
    let (Ok(file), Ok(round)) = (std::env::var(CRASH_FILE), std::env::var(CRASH_ROUND)) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let inbox = Arc::new(SqliteInbox::open(file).unwrap());
        let receivers = (0..8).map(|task| {
            let (inbox, round) = (Arc::clone(&inbox), round.clone());
            tokio::spawn(async move {
                for event in 0.. {
                    let id = format!("{round}_{task}_{event}");
                    assert_eq!(accept(&inbox, &id).await, Accepted::New);
                    say(&format!("accepted {id}"));
                }
            })
        });
        let receivers: Vec<_> = receivers.collect();
        let interests = [Interest::all("circa")];
        loop {
            // Short leases: what is left behind has lapsed when the next process looks.
            let request = LeaseRequest::new("killed", &interests, 4, Duration::from_millis(1));
            for leased in inbox.lease(request).await.unwrap() {
                if inbox.settle(leased.lease(), Settlement::Complete { retention: RETENTION }).await.unwrap() {
                    say(&format!("done {}", leased.entry().event_id()));
                }
            }
            assert!(receivers.iter().all(|receiver| !receiver.is_finished()));
        }
    });
}

/// What it had answered by then: the accepted events, and the completed ones.
fn killed_in_the_middle(file: &Path, round: usize) -> [HashSet<String>; 2] {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "inbox::sqlite::crash::works_until_it_is_killed", "--ignored", "--nocapture"])
        .env(CRASH_FILE, file)
        .env(CRASH_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut answered = [HashSet::new(), HashSet::new()];
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        for (known, prefix) in answered.iter_mut().zip(["accepted ", "done "]) {
            known.extend(line.strip_prefix(prefix).map(str::to_owned));
        }
        // A different moment in every round. What it had written by then is still read.
        if answered[0].len() == 200 + 97 * round {
            child.kill().unwrap();
        }
    }
    assert!(!child.wait().unwrap().success(), "round {round}: it ended before it was killed");
    answered
}

/// Contract, section 8a: a crash at any point loses nothing.
#[tokio::test]
async fn what_was_accepted_survives_a_kill_and_runs() {
    let folder = Folder::new();
    for round in 0..4 {
        let [accepted, done] = killed_in_the_middle(&folder.file(), round);
        assert!(accepted.len() >= 200 && !done.is_empty(), "round {round}: {} and {}", accepted.len(), done.len());
        let inbox = SqliteInbox::open(folder.file()).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut left = HashSet::new();
        loop {
            let leased = lease(&inbox).await;
            if leased.is_empty() {
                break;
            }
            for leased in leased {
                left.insert(leased.entry().event_id().to_owned());
                assert!(inbox.settle(leased.lease(), Settlement::Complete { retention: RETENTION }).await.unwrap());
            }
        }
        let again: Vec<_> = left.intersection(&done).collect();
        assert!(again.is_empty(), "round {round}: done, and run again: {again:?}");
        // What was completed and not said is neither left nor known to be done: at most one batch.
        let gone = accepted.iter().filter(|id| !left.contains(*id) && !done.contains(*id)).count();
        assert!(gone <= 4, "round {round}: {gone} events are gone");
        for id in &accepted {
            assert_eq!(accept(&inbox, id).await, Accepted::Known { same_body: true }, "round {round}: {id}");
        }
    }
}
