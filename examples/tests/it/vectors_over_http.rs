//! The cases of the core's vectors, sent to the reference receivers over real sockets, by HTTP/1.1
//! and by HTTP/2.
//!
//! Receivers are started with the case's secrets, one process for the cases of each set of secrets.
//! That a case was refused for the right reason is read in the receiver's log, since the answers do
//! not tell. How a case is rewritten for a real clock is described in `support/vectors.rs`.

use std::collections::BTreeMap;

use crate::support::{
    Answer, Process, Protocol, REFERENCES, Reference,
    vectors::{Case, Rewriter, carried, cases, rewrite_signature},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

/// Contract, section 9: "The same request gets the same status, headers and body from the axum and
/// the actix adapter, HTTP/1.1 and HTTP/2".
#[tokio::test(flavor = "multi_thread")]
async fn the_vectors_hold_over_http1() {
    for reference in &REFERENCES {
        assert_eq!(run(reference, Protocol::Http1).await, 80, "{}", reference.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_vectors_hold_over_http2() {
    for reference in &REFERENCES {
        assert_eq!(run(reference, Protocol::Http2).await, 78, "{}", reference.name);
    }
}

/// Contract, section 4: what is refused when the receiver is built.
#[tokio::test]
async fn the_config_vectors_stop_the_start() {
    for reference in &REFERENCES {
        let mut ran = 0;
        for case in cases().iter().filter(|case| case.layer == "config") {
            assert_eq!(case.expect["verdict"], "refused_at_build", "{}", case.id);
            assert_eq!(case.sender, "circa", "{}", case.id);
            if case.secrets.iter().any(|secret| secret.contains(&0)) {
                println!("{} skipped: an environment variable cannot hold a NUL", case.id);
                continue;
            }
            let ended = reference.refuse(&case.environment()).await;
            assert!(matches!(ended.code, Some(1 | 2)), "{}: {ended:?}", case.id);
            assert!(ended.stdout.is_empty(), "{}: {ended:?}", case.id);
            assert_eq!(ended.stderr.len(), 1, "{}: {ended:?}", case.id);
            assert!(ended.stderr[0].contains("CIRCA_WEBHOOK_SECRET"), "{}: {ended:?}", case.id);
            ran += 1;
        }
        assert_eq!(ran, 5, "{}", reference.name);
    }
}

/// Runs all cases that the protocol can carry, and tells how many.
async fn run(reference: &Reference, protocol: Protocol) -> usize {
    let cases = cases();
    let rewriter = Rewriter::new(&cases);
    let mut ran = 0;
    for cases in carried(&cases, protocol) {
        let mut process = reference.start_with(&cases[0].environment()).await;
        let mut used = BTreeMap::new();
        for case in cases {
            run_one(&rewriter.rewrite(case, &mut used), protocol, &mut process).await;
            ran += 1;
        }
        // Every run of a handler has printed one line, which was read with its case: nothing may be
        // left.
        let ended = process.stop().await;
        assert_eq!((ended.code, &ended.stdout[..]), (Some(0), &[][..]), "{}: {ended:?}", reference.name);
    }
    ran
}

async fn run_one(case: &Case, protocol: Protocol, process: &mut Process) {
    let answer = case.request().send_over(protocol, process.address).await;
    let name = format!("{} {} over {protocol:?}: {answer:?}", case.id, case.what);
    assert_eq!(u64::from(answer.status), case.expect["status"].as_u64().unwrap(), "{name}");
    match case.expect["verdict"].as_str().unwrap() {
        "accept" => {
            assert_eq!(answer.told(), (200, Some("handled")), "{name}");
            let line: Value = serde_json::from_str(&process.line().await).expect(&name);
            assert_eq!(line["endpoint"], *case.sender, "{name}");
            if case.sender == "circa" {
                assert_eq!(line["id"], case.event_id().expect(&name), "{name}");
            }
        }
        "ignored" => assert_eq!(answer.told(), (200, Some("ignored")), "{name}"),
        "reject" => {
            let reason = process.reason().await;
            let reasons = [&case.expect["reason"], &case.expect["or_reason"]];
            assert!(reasons.iter().any(|expected| expected_reason(expected, &reason)), "{name}: {reason}");
            assert_tells_nothing(&answer, &name);
        }
        other => panic!("{name}: unknown verdict {other}"),
    }
}

fn expected_reason(expected: &Value, reason: &str) -> bool {
    match expected {
        Value::Array(any) => any.iter().any(|expected| expected == reason),
        one => one == reason,
    }
}

/// Contract, section 1: "No answer ever repeats parser text, an internal error or anything of the
/// request."
fn assert_tells_nothing(answer: &Answer, name: &str) {
    let bodies = ["unauthorized", "method not allowed", "unsupported media type", "payload too large", "bad request"];
    assert!(bodies.contains(&answer.body.as_str()), "{name}");
    let known = ["allow", "connection", "content-length", "content-type"];
    assert!(answer.headers.iter().all(|(header, _)| known.contains(&header.as_str())), "{name}");
}

/// The rewriting itself: were it wrong, cases that are refused anyway would not show it.
#[test]
fn what_was_made_from_the_old_mac_is_made_from_the_new_one() {
    let (old, new) = ("ab".repeat(32), "1f".repeat(32));
    let macs = [(old.clone(), new.clone())];
    let rewrite =
        |value: &str| String::from_utf8(rewrite_signature(value.as_bytes(), Some((5, 1_005)), &macs)).unwrap();
    let cases = [
        ("lower case", format!("t=5,v1={old}"), format!("t=1005,v1={new}")),
        ("upper case", format!("v1={}, t=5", old.to_uppercase()), format!("v1={}, t=1005", new.to_uppercase())),
        ("first half", format!("t=5,v1={}", &old[..32]), format!("t=1005,v1={}", &new[..32])),
        ("a nibble more", format!("t=5,v1={old}a"), format!("t=1005,v1={new}a")),
        ("first nibble flipped", format!("t=5,v1=b{}", &old[1..]), format!("t=1005,v1=0{}", &new[1..])),
        (
            "base64",
            format!("v1={}", BASE64_STANDARD.encode([0xab; 32])),
            format!("v1={}", BASE64_STANDARD.encode([0x1f; 32])),
        ),
        ("another time, another MAC", "t=6,v1=00".to_owned(), "t=6,v1=00".to_owned()),
        ("not a plain integer", "t=05".to_owned(), "t=05".to_owned()),
    ];
    for (name, value, expected) in cases {
        assert_eq!(rewrite(&value), expected, "{name}");
    }
}
