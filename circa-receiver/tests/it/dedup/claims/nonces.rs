//! Nonces: no two deliveries have the same one, in one process or in two.

use std::{
    collections::HashSet,
    process::{Command, Stdio},
};

use circa_receiver::dedup::Nonce;

use super::with_store;
use crate::support::receiving::{Gate, HANDLED, Request, answer, circa};

const PRINTED: &str = "nonces of a process:";

async fn of_deliveries(count: usize) -> Vec<Nonce> {
    let (endpoint, store) = with_store(circa(), &Gate::open());
    for id in 0..count {
        assert_eq!(answer(&endpoint.deliver(&Request::circa(&format!("evt_{id}"))).await), HANDLED);
    }
    store.nonces()
}

/// The process that the next test starts.
#[tokio::test]
#[ignore = "the test of two processes runs it, in processes of their own"]
async fn prints_its_nonces() {
    let nonces: Vec<String> = of_deliveries(2).await.iter().map(|nonce| format!("{:032x}", nonce.get())).collect();
    println!("\n{PRINTED}{}", nonces.join(","));
}

fn of_a_process() -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "dedup::claims::nonces::prints_its_nonces", "--ignored", "--nocapture"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let nonces = text.lines().find_map(|line| line.strip_prefix(PRINTED)).expect("the process prints them");
    nonces.split(',').map(str::to_owned).collect()
}

/// Each process counts its deliveries from 0: only the random upper half keeps two of them apart.
/// With the nonce of another delivery, a store would take its claim for a repetition, and the event
/// would run twice at once.
#[test]
fn no_two_processes_share_a_nonce() {
    let (first, second) = (of_a_process(), of_a_process());
    assert_eq!((first.len(), second.len()), (2, 2));
    assert_ne!(first[0][..16], second[0][..16], "the upper half is the same in two processes");
    let all: HashSet<&String> = first.iter().chain(&second).collect();
    assert_eq!(all.len(), 4, "{all:?}");
}

#[tokio::test]
async fn no_two_deliveries_of_a_process_share_a_nonce() {
    let nonces = of_deliveries(100).await;
    assert_eq!((nonces.len(), nonces.iter().collect::<HashSet<_>>().len()), (100, 100));
}
