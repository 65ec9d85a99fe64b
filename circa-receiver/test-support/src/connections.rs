//! What the server of every adapter does with its connections, asked over raw sockets.
//!
//! It has the routes `/livez`, `/run` and `/body`, which answer `long` after [`LONG`], the first by
//! its head and the second by its body, and `/webhooks/circa`.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The idle timeout of the server in [`those_without_a_request_are_closed`] and over HTTP/2.
pub const IDLE: Duration = Duration::from_secs(1);

/// Longer than a connection may be idle.
pub const LONG: Duration = Duration::from_secs(2);

/// Far more than any of this takes: a test that hangs fails.
const TOO_LONG: Duration = Duration::from_secs(120);

const GET: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// Reads the answer to a health check, to its last byte.
async fn read_ok(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok") {
        let read = timeout(TOO_LONG, stream.read_buf(&mut answer)).await.unwrap().unwrap();
        assert_ne!(read, 0, "{}", String::from_utf8_lossy(&answer));
    }
}

/// Reads until the server closes the connection.
async fn read_to_end(name: &str, stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = timeout(TOO_LONG, stream.read_to_end(&mut answer)).await.expect(name);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Contract, section 1a: limits "for the head (5 s) and for idle connections". What is served has
/// its time.
///
/// # Panics
///
/// With what the server did wrong, as all others here.
pub async fn those_without_a_request_are_closed(address: SocketAddr) {
    let endless = "POST /nothing HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let long = |path| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let cases = [
        ("nothing", String::new(), ""),
        ("half of a first head", GET[..20].to_owned(), ""),
        ("a body without an end that nobody reads", endless.to_owned(), "HTTP/1.1 404 "),
        ("a long run", long("/run"), "long"),
        ("a long body", long("/body"), "long"),
    ];
    let mut open = Vec::new();
    for (name, request, expected) in cases {
        let mut stream = connect(address).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        open.push((name, stream, expected));
    }
    for (name, second) in [("nothing after an answer", ""), ("a byte of a second head", "G")] {
        let mut stream = connect(address).await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        read_ok(&mut stream).await;
        stream.write_all(second.as_bytes()).await.unwrap();
        open.push((name, stream, ""));
    }
    for (name, mut stream, expected) in open {
        let answer = read_to_end(name, &mut stream).await;
        assert!(answer.contains(expected) && answer.is_empty() == expected.is_empty(), "{name}: {answer}");
    }
}

/// The same over HTTP/2 without TLS.
pub async fn those_without_a_request_are_closed_over_http2(address: SocketAddr) {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = b"\0\0\0\x04\0\0\0\0\0";
    // `GET /` over `http`: three fields of HPACK's static table.
    let request = b"\0\0\x03\x01\x05\0\0\0\x01\x82\x84\x86";
    for (name, sent) in [("nothing", &b""[..]), ("a request", &request[..])] {
        let mut stream = connect(address).await;
        stream.write_all(&[preface, &settings[..], sent].concat()).await.unwrap();
        assert_ne!(read_to_end(name, &mut stream).await, "", "{name}");
    }
}

/// Contract, section 1a: "who gives way is the one who has waited longest, never the newcomer". The
/// server has room for two.
pub async fn the_one_without_an_answer_for_longest_gives_way(address: SocketAddr) {
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(address).await;
        stream.write_all(GET.as_bytes()).await.unwrap();
        read_ok(&mut stream).await;
        stream.write_all(&GET.as_bytes()[..1]).await.unwrap();
        streams.push(stream);
    }
    assert_eq!(read_to_end("the first gives way", &mut streams[0]).await, "");
    for stream in &mut streams[1..] {
        stream.write_all(&GET.as_bytes()[1..]).await.unwrap();
        read_ok(stream).await;
    }
}

/// Contract, section 9: the same answer on every framework, here to a delivery whose sender sends no
/// more after it.
pub async fn a_sender_that_sends_no_more_is_answered(address: SocketAddr, signature: &str, body: &str) {
    let length = body.len();
    let request = format!(
        "POST /webhooks/circa HTTP/1.1\r\nHost: a\r\nCirca-Signature: {signature}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = connect(address).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_to_end("answered, then closed", &mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("circa-receiver-outcome: handled"), "{answer}");
}
