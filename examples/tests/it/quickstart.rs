//! The quickstart does what it prints: the demonstration succeeds, and the line for the shell is
//! handled.

use std::process::Stdio;

use crate::support::lines;
use circa_receiver_test_support::Folder;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::mpsc::UnboundedReceiver,
};

const OWN_SECRET: &str = "whsec_one's \"own\" $HOME 0123456789";

fn quickstart() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command.env_remove("CIRCA_WEBHOOK_SECRET").env_remove("CIRCULARO_HMAC_SECRET").env("BIND", "127.0.0.1:0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A running quickstart, and its output.
fn serve(command: &mut Command) -> (Child, UnboundedReceiver<String>) {
    let mut child = command.spawn().unwrap();
    let output = lines(child.stdout.take().unwrap());
    (child, output)
}

async fn line_starting_with(output: &mut UnboundedReceiver<String>, start: &str) -> String {
    loop {
        let line = output.recv().await.expect("the quickstart runs on");
        if line.starts_with(start) {
            return line;
        }
    }
}

#[tokio::test]
async fn once_prints_the_table_and_succeeds() {
    let output = quickstart().arg("--once").output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let rows = text.lines().skip_while(|line| !line.starts_with("sent ")).skip(1).take_while(|line| !line.is_empty());
    let rows: Vec<Vec<_>> =
        rows.map(|row| row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    let count = |status: &str, outcome: &str| rows.iter().filter(|row| row[2..] == [status, outcome]).count();
    // Sixteen documented events; then the bad ones: two duplicates, two forged, two tampered, one
    // stale.
    assert_eq!(
        (rows.len(), count("200", "handled"), count("200", "duplicate"), count("401", "refused")),
        (23, 16, 2, 5),
        "{text}"
    );
    for event in circa_receiver::testing::fixtures() {
        assert!(rows.iter().any(|row| row[1] == event.name()), "{} is missing: {text}", event.name());
    }
}

/// The inbox in a folder of one's own outlives the process; a temporary one does not.
#[tokio::test]
async fn kept_data_makes_everything_known() {
    let folder = Folder::new("quickstart");
    let data = folder.path().join("new");
    for (start, known) in [("first", 0), ("second", 16)] {
        let output = quickstart().arg("--once").arg("--data").arg(&data).output().await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("all as expected"), "{start}: {text}");
        let duplicates = text.lines().filter(|line| line.ends_with("200  duplicate")).count();
        assert_eq!(duplicates, 2 + known, "{start}: {text}");
    }
    assert!(data.join("inbox.sqlite").exists());
    let output = quickstart().arg("--once").env("TMPDIR", folder.path()).output().await.unwrap();
    assert!(output.status.success());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["new"], "the temporary folder is removed");
}

#[tokio::test]
async fn a_taken_port_stops_the_start_but_not_the_demonstration() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = quickstart().env("BIND", &address).output().await.unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(&address) && message.contains("BIND=127.0.0.1:0"), "{message}");

    let output = quickstart().env("BIND", &address).arg("--once").output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.starts_with(&format!("{address} is in use: taking a free port instead")), "{text}");
}

#[tokio::test]
async fn the_printed_line_is_handled() {
    let own = [("CIRCA_WEBHOOK_SECRET", OWN_SECRET)];
    for (name, environment) in [("secrets for demonstration", &[][..]), ("a secret of one's own", &own)] {
        let environment = environment.iter().copied();
        let (_child, mut output) = serve(quickstart().envs(environment.clone()));
        let line = line_starting_with(&mut output, "t=").await;
        assert!(!line.contains(OWN_SECRET), "{name}: a secret of one's own is not printed: {line}");
        let mut ids = Vec::new();
        for _ in 0..2 {
            let needed = format!(
                "set -o pipefail; command -v curl openssl >/dev/null || {{ echo install curl and openssl; exit 1; }}; {line}"
            );
            let shell = Command::new("bash").args(["-c", &needed]).envs(environment.clone()).output().await.unwrap();
            let answer = String::from_utf8(shell.stdout).unwrap();
            assert!(shell.status.success(), "{name}: {answer}");
            assert!(answer.starts_with("HTTP/1.1 200 OK"), "{name}: {answer}");
            assert!(answer.contains("circa-receiver-outcome: handled"), "{name}: {answer}");
            ids.push(line_starting_with(&mut output, "  webhook.test  evt_").await);
        }
        assert_ne!(ids[0], ids[1], "{name}: each paste is a new event");
    }
}

#[tokio::test]
async fn bad_secrets_and_arguments_stop_the_start() {
    let cases = [
        ("blank", [("CIRCA_WEBHOOK_SECRET", "  "), ("X", "")], "", "CIRCA_WEBHOOK_SECRET"),
        (
            "shared",
            [("CIRCA_WEBHOOK_SECRET", OWN_SECRET), ("CIRCULARO_HMAC_SECRET", OWN_SECRET)],
            "",
            "the same secret",
        ),
        ("argument", [("X", ""), ("Y", "")], "--twice", "usage"),
    ];
    for (name, environment, argument, message) in cases {
        let arguments = Some(argument).filter(|argument| !argument.is_empty());
        let output = quickstart().envs(environment).args(arguments).output().await.unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}: {text}");
        assert!(text.contains(message) && text.lines().count() == 1, "{name}: {text}");
    }
}
