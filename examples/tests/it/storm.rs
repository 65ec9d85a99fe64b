//! Short storms: nothing is lost, nothing is stuck, and what is handled twice has a reason, while
//! everything is killed and frozen at random.

use std::{process::Stdio, time::Duration};

use crate::support::turn;
use tokio::{process::Command, task::JoinSet, time::timeout};

/// A hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(300);

const STORMS: [(&str, &str); 5] =
    [("dedup", "sqlite"), ("dedup", "postgres"), ("dedup", "redis"), ("inbox", "sqlite"), ("inbox", "postgres")];

/// All at once: a storm mostly waits. Contract, section 7: "Done only after the handler succeeded";
/// section 8a: "A crash at any point loses nothing and repeats at most the handlers that were
/// running."
#[tokio::test]
async fn storms_lose_nothing() {
    let _turn = turn::alone().await;
    let mut storms = JoinSet::new();
    for (mode, store) in STORMS {
        storms.spawn(async move {
            let mut command = Command::new(env!("CARGO_BIN_EXE_storm"));
            command.args(["--mode", mode, "--store", store, "--seconds", "4", "--kills", "3"]);
            command.stdin(Stdio::null()).kill_on_drop(true);
            let output = timeout(PATIENCE, command.output()).await.expect("the storm ends").unwrap();
            let [told, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
            (format!("{mode} on {store}, {}:\n{told}\n{errors}", output.status), output.status.success())
        });
    }
    let (good, bad): (Vec<_>, Vec<_>) = storms.join_all().await.into_iter().partition(|(_, is_good)| *is_good);
    for (told, _) in &good {
        println!("{told}");
    }
    assert!(bad.is_empty(), "{}", bad.into_iter().map(|(told, _)| told).collect::<Vec<_>>().join("\n"));
}
