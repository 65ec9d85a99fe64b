//! A process that is short of descriptors: the oldest connections give way, never the newcomer
//! (contract, section 1a).

use std::{fs, time::Instant};

use tokio::{io::AsyncWriteExt, net::TcpStream, process::Command, time::timeout};

use super::PATIENCE;
use crate::support::{CIRCA_SECRET, REFERENCES, Request, circa, event, read_answer_to, turn};

const ENVIRONMENT: [(&str, &str); 2] = [("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET), ("H2C", "")];

#[tokio::test(flavor = "multi_thread")]
async fn more_idle_connections_than_descriptors() {
    let _turn = turn::unhurried().await;
    for reference in &REFERENCES {
        let process = reference.start_within(1_024, &ENVIRONMENT).await;
        let mut idle = Vec::new();
        for _ in 0..1_100 {
            idle.push(TcpStream::connect(process.address).await.unwrap());
        }
        let begun = Instant::now();
        let answer = timeout(PATIENCE, circa(event("evt_1")).send(process.address)).await.expect("an answer");
        assert_eq!(answer.told(), (200, Some("handled")), "{}", reference.name);
        println!("{}: beside 1,100 idle connections after {:?}", reference.name, begun.elapsed());
    }
}

/// Whatever else has taken the descriptors: here nothing, but the limit is lowered.
#[tokio::test]
async fn the_last_descriptor_is_enough() {
    for reference in &REFERENCES {
        let process = reference.start_with(&ENVIRONMENT).await;
        let mut idle = Vec::new();
        for _ in 0..8 {
            let mut stream = TcpStream::connect(process.address).await.unwrap();
            stream.write_all(&Request::post("/livez").method("GET").head()).await.unwrap();
            assert_eq!(read_answer_to("GET", &mut stream).await.unwrap().status, 200, "{}", reference.name);
            idle.push(stream);
        }
        let limit = limit_that_leaves_one(process.pid());
        let mut lower = Command::new("prlimit");
        lower.arg(format!("--pid={}", process.pid())).arg(format!("--nofile={limit}:{limit}"));
        assert!(lower.status().await.unwrap().success(), "{lower:?}");
        for id in ["evt_1", "evt_2", "evt_3"] {
            let mut stream = TcpStream::connect(process.address).await.unwrap();
            let delivery = circa(event(id));
            stream.write_all(&[delivery.head(), delivery.framed_body()].concat()).await.unwrap();
            let answer = read_answer_to("POST", &mut stream).await;
            let told = answer.as_ref().map(|answer| answer.told());
            assert_eq!(told, Some((200, Some("handled"))), "{}: {id}", reference.name);
            idle.push(stream);
        }
    }
}

/// Below it, one descriptor is not in use.
fn limit_that_leaves_one(pid: u32) -> u64 {
    let is_free = |descriptor: &u64| fs::symlink_metadata(format!("/proc/{pid}/fd/{descriptor}")).is_err();
    1 + (0..).find(is_free).unwrap()
}
