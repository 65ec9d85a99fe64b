//! Short storms: nothing is lost, nothing is stuck, and what is handled twice has a reason, while
//! everything is killed and frozen at random.

use std::{process::Stdio, time::Duration};

use crate::support::turn;
use tokio::{process::Command, time::timeout};

/// A hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(300);

/// Those that need no server. A machine that is busy with something else stands still at times, as
/// no fault of the storm explains: with servers, a storm is for a machine of its own.
const MODES: [&str; 2] = ["dedup", "inbox"];

/// Contract, section 7: "Done only after the handler succeeded"; section 8a: "A crash at any point
/// loses nothing and repeats at most the handlers that were running."
#[tokio::test]
async fn storms_lose_nothing() {
    let _turn = turn::alone().await;
    for mode in MODES {
        let mut command = Command::new(env!("CARGO_BIN_EXE_storm"));
        command.args(["--mode", mode, "--store", "sqlite", "--seconds", "4", "--kills", "3"]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = timeout(PATIENCE, command.output()).await.expect("the storm ends").unwrap();
        let [told, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{mode}, {}:\n{told}\n{errors}", output.status);
    }
}
