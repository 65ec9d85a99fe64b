//! Bodies of any framing and size, too large, cut short or late, and floods of headers.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::MIB;
use crate::support::{READ_DEADLINE, REFERENCES, circa, drip, event, event_of_size, pulled_line, read_answer, turn};

#[tokio::test]
async fn bodies_of_any_framing_and_size_are_handled() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let cases = [
            ("with its length", circa(event("evt_1"))),
            ("in chunks of one byte", circa(event("evt_2")).chunked(1)),
            ("in chunks of seven bytes", circa(event("evt_3")).chunked(7)),
            ("300 KB", circa(event_of_size("evt_4", 300_000))),
            ("300 KB in chunks", circa(event_of_size("evt_5", 300_000)).chunked(1_000)),
            ("exactly 1 MiB", circa(event_of_size("evt_6", MIB))),
            ("exactly 1 MiB in chunks", circa(event_of_size("evt_7", MIB)).chunked(60_000)),
        ];
        let mut expected = Vec::new();
        for (at, (name, request)) in cases.into_iter().enumerate() {
            let answer = request.send(process.address).await;
            assert_eq!(answer.told(), (200, Some("handled")), "{} {name}: {answer:?}", reference.name);
            expected.push(pulled_line(&format!("evt_{}", at + 1)));
        }
        let answer = circa(event_of_size("evt_8", MIB)).send_http2(process.address).await;
        assert_eq!(answer.told(), (200, Some("handled")), "{} HTTP/2: {answer:?}", reference.name);
        expected.push(pulled_line("evt_8"));
        assert_eq!(process.stop().await.stdout, expected, "{}", reference.name);
    }
}

/// Contract, section 1, check 6: "body within the limit (default 1 MiB), counted in bytes read; a
/// larger `Content-Length` is refused unread".
#[tokio::test]
async fn bodies_over_the_limit_are_refused() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        let (body, one_more) = (event_of_size("evt_1", 3_000_000), event_of_size("evt_1", MIB + 1));
        let cases = [
            ("3 MB with its length", circa(body.clone())),
            ("3 MB in chunks", circa(body.clone()).chunked(64 * 1_024)),
            ("one byte more with its length", circa(one_more.clone())),
            ("one byte more in chunks", circa(one_more).chunked(64 * 1_024)),
        ];
        for (name, request) in cases {
            let answer = request.send(process.address).await;
            assert_eq!((answer.status, &*answer.body), (413, "payload too large"), "{} {name}", reference.name);
            assert_eq!(process.reason().await, "payload_too_large", "{} {name}", reference.name);
        }
        let answer = circa(body.clone()).send_http2(process.address).await;
        assert_eq!((answer.status, &*answer.body), (413, "payload too large"), "{} HTTP/2", reference.name);

        // Unread: the answer comes though not one byte of the body was sent.
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream.write_all(&circa(body).head()).await.unwrap();
        let answer = read_answer(&mut stream).await.expect("an answer");
        assert_eq!(answer.status, 413, "{} unread", reference.name);
        assert_eq!(process.stop().await.stdout.len(), 0, "{}", reference.name);
    }
}

/// Contract, section 1, check 8: "body arrived complete". Whether an answer still gets out after
/// the sender has hung up is the server's affair.
#[tokio::test]
async fn truncated_bodies_run_nothing() {
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        for (name, request) in
            [("with its length", circa(event("evt_1"))), ("in chunks", circa(event("evt_1")).chunked(50))]
        {
            let bytes = [request.head(), request.framed_body()].concat();
            let mut stream = TcpStream::connect(process.address).await.unwrap();
            stream.write_all(&bytes[..bytes.len() - 10]).await.unwrap();
            stream.shutdown().await.unwrap();
            if let Some(answer) = read_answer(&mut stream).await {
                assert_eq!((answer.status, &*answer.body), (400, "bad request"), "{} {name}", reference.name);
            }
            assert_eq!(process.reason().await, "body_incomplete", "{} {name}", reference.name);
        }
        assert_eq!(
            circa(event("evt_1")).send(process.address).await.told(),
            (200, Some("handled")),
            "{}",
            reference.name
        );
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

/// Contract, section 1, check 7: "whole body within the read deadline (default 10 s in all, not per
/// chunk)". Takes the real ten seconds.
#[tokio::test]
async fn a_stalled_body_is_answered_408_at_the_read_deadline() {
    let _turn = turn::unhurried().await;
    for reference in &REFERENCES {
        let mut process = reference.start().await;
        // A byte now and then does not help.
        let dripped = drip(process.address).await;
        let (answer, took, slowest) = (dripped.answer, dripped.took, dripped.slowest);
        assert_eq!((answer.status, &*answer.body), (408, "request timeout"), "{}", reference.name);
        let latest = READ_DEADLINE + Duration::from_secs(4) + slowest;
        assert!((READ_DEADLINE..latest).contains(&took), "{}: after {took:?}, {slowest:?}", reference.name);
        assert_eq!(process.reason().await, "body_read_timeout", "{}", reference.name);
        assert_eq!(process.stop().await.stdout.len(), 0, "{}", reference.name);
    }
}

/// What the HTTP server refuses by itself is its own affair; it must refuse, and live.
#[tokio::test]
async fn floods_of_headers_are_refused() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let many = (0..1_000).fold(circa(event("evt_1")), |request, n| request.header(&format!("X-{n}"), "x"));
        let long = circa(event("evt_1")).header("X-Long", "x".repeat(MIB));
        for (name, request) in [("many", many), ("long", long)] {
            if let Some(answer) = request.try_send(process.address).await {
                assert!((400..500).contains(&answer.status), "{} {name}: {answer:?}", reference.name);
            }
        }
        assert_eq!(
            circa(event("evt_1")).send(process.address).await.told(),
            (200, Some("handled")),
            "{}",
            reference.name
        );
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}
