//! Answers that are given before the body has been read (contract, section 1).

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::PATIENCE;
use crate::support::{
    CIRCA_SECRET, REFERENCES, Request, circa, event, event_of_size, forged, pulled_line, read_answer, turn,
};

/// Reads until the peer closes; panics where it resets.
async fn closes(stream: &mut TcpStream, who: &str) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    read.unwrap_or_else(|_| panic!("{who}: the connection stays open"))
        .unwrap_or_else(|error| panic!("{who}: {error}"));
    rest
}

async fn refused_in_peace(address: SocketAddr, request: &Request, status: u16, who: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request.head()).await.unwrap();
    let answer = read_answer(&mut stream).await.unwrap_or_else(|| panic!("{who}: no answer"));
    assert_eq!(answer.status, status, "{who}");
    // As a proxy, which has begun to send the body.
    let sent = stream.write_all(&request.framed_body()).await;
    sent.unwrap_or_else(|error| panic!("{who}: the body: {error}"));
    assert_eq!(closes(&mut stream, who).await, b"", "{who}");
}

/// "An answer that is given before the body has been read must reach the sender and must not harm
/// the connection of a proxy".
#[tokio::test]
async fn the_rest_of_the_body_is_drained() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let large = "x".repeat(400_000);
        let unsigned = Request::post("/webhooks/circa").body(large.clone());
        let cases = [
            ("401", unsigned.clone(), 401),
            ("401 in chunks", unsigned.clone().chunked(1_000), 401),
            ("405", unsigned.clone().method("PUT"), 405),
            ("413", circa(event_of_size("evt_1", 1_200_000)), 413),
            ("415", unsigned.header("Content-Encoding", "gzip"), 415),
        ];
        for (name, request, status) in cases {
            refused_in_peace(process.address, &request, status, &format!("{} {name}", reference.name)).await;
        }
    }
}

/// The drain ends with its bounds where the sender never ends its body.
#[tokio::test]
async fn a_refused_connection_is_closed_though_its_body_never_ends() {
    let _turn = turn::unhurried().await;
    for reference in &REFERENCES {
        let process = reference.start().await;
        for (name, request) in [
            ("with a length", Request::post("/webhooks/circa").body("x".repeat(1_000))),
            ("in chunks", Request::post("/webhooks/circa").body("x".repeat(1_000)).chunked(100)),
        ] {
            let mut stream = TcpStream::connect(process.address).await.unwrap();
            let bytes = [request.head(), request.framed_body()].concat();
            stream.write_all(&bytes[..bytes.len() - 300]).await.unwrap();
            assert_eq!(read_answer(&mut stream).await.unwrap().status, 401, "{} {name}", reference.name);
            closes(&mut stream, &format!("{} {name}", reference.name)).await;
        }
    }
}

/// A server may take `Upgrade` for the end of HTTP, and read for ever; the length is what was
/// announced.
#[tokio::test]
async fn an_offer_to_upgrade_leaves_the_length_alone() {
    for reference in &REFERENCES {
        let process = reference.start().await;
        let request = circa(event("evt_1")).header("Connection", "Upgrade").header("Upgrade", "websocket");
        assert_eq!(request.send(process.address).await.told(), (200, Some("handled")), "{}", reference.name);
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

/// After an answer that closes its connection, nothing that came behind the request is served.
#[tokio::test]
async fn what_is_pipelined_behind_a_refusal_is_not_served() {
    for reference in &REFERENCES {
        let process = reference.start_with(&[("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET), ("H2C", "")]).await;
        let behind = circa(event("evt_1"));
        for (name, refused) in [
            ("with a length", Request::post("/webhooks/circa").body("x".repeat(100))),
            ("in chunks", Request::post("/webhooks/circa").body("x".repeat(100)).chunked(10)),
            ("read to its end", forged(&event("evt_2"))),
        ] {
            let mut stream = TcpStream::connect(process.address).await.unwrap();
            let requests = [refused.head(), refused.framed_body(), behind.head(), behind.framed_body()].concat();
            stream.write_all(&requests).await.unwrap();
            let who = format!("{} {name}", reference.name);
            // To the end, whether it is a close or a reset: what was pipelined is not read.
            let mut read = Vec::new();
            let ended = async { while matches!(stream.read_buf(&mut read).await, Ok(1..)) {} };
            timeout(PATIENCE, ended).await.unwrap_or_else(|_| panic!("{who}: the connection stays open"));
            let read = String::from_utf8(read).unwrap();
            assert!(read.starts_with("HTTP/1.1 401 "), "{who}: {read}");
            assert_eq!(read.matches("HTTP/1.1 ").count(), 1, "{who}: {read}");
        }
        assert_eq!(process.stop().await.stdout, [""; 0], "{}", reference.name);
    }
}
