//! Logs decide no answer (contract, section 1: "No side channel decides an answer").

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
};

use crate::support::{CIRCA_SECRET, REFERENCES, circa, event, forged};

/// Enough for a pipe of 64 KiB, several times, and for what is buffered before it.
const FORGED: usize = 3_000;

struct Started {
    child: Child,
    address: SocketAddr,
    /// Dropped, it is closed.
    stderr: Option<BufReader<ChildStderr>>,
}

impl Drop for Started {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn start(binary: &str, rust_log: &str) -> Started {
    let mut command = Command::new(binary);
    command.env("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET).env("BIND", "127.0.0.1:0").env("RUST_LOG", rust_log);
    command.env("STORE_URL", "").env("LEASE_SECONDS", "").env("CIRCULARO_HMAC_SECRET", "");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let address = loop {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it has ended");
        if let Some(address) = line.strip_prefix("listening on ") {
            break address.trim().parse().unwrap();
        }
    };
    Started { child, address, stderr: Some(stderr) }
}

async fn answers(address: SocketAddr, name: &str) {
    for number in 0..FORGED {
        let answer = forged(&event("evt_1")).send(address).await;
        assert_eq!(answer.status, 401, "{name}: {number}");
    }
    assert_eq!(circa(event("evt_1")).send(address).await.told(), (200, Some("handled")), "{name}");
}

#[tokio::test]
async fn a_standard_error_that_is_closed_or_not_read_fails_nothing() {
    for reference in &REFERENCES {
        let not_read = start(reference.binary, "trace");
        answers(not_read.address, reference.name).await;
        let mut closed = start(reference.binary, "trace");
        drop(closed.stderr.take());
        answers(closed.address, reference.name).await;
    }
}

/// A variable that is set to nothing is not set: refusals are still seen.
#[tokio::test]
async fn an_empty_filter_does_not_hide_refusals() {
    for reference in &REFERENCES {
        let mut started = start(reference.binary, "");
        assert_eq!(forged(&event("evt_1")).send(started.address).await.status, 401, "{}", reference.name);
        let mut lines = started.stderr.take().unwrap().lines();
        assert!(lines.any(|line| line.unwrap().contains("signature_mismatch")), "{}", reference.name);
    }
}
