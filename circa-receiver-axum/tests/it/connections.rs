//! The connections of a server: which are closed, and when.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    routing::get,
};
use circa_receiver::{
    Receiver, Secret,
    testing::{CircaSigner, fixtures},
};
use circa_receiver_axum::{AnyEvent, Server, webhook};
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Sleep, sleep, timeout},
};

const SECRET: &str = "whsec_test_0123456789abcdef";

/// Far more than any of this takes: a test that hangs fails.
const TOO_LONG: Duration = Duration::from_secs(120);

const IDLE: Duration = Duration::from_secs(1);

/// Longer than a connection may be idle.
const LONG: Duration = Duration::from_secs(2);

const GET: &str = "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";

async fn long() -> &'static str {
    sleep(LONG).await;
    "long"
}

/// A body that is late.
struct LongBody(Option<Pin<Box<Sleep>>>);

impl HttpBody for LongBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(sleep) = &mut self.0 else { return Poll::Ready(None) };
        ready!(pin!(sleep).poll(cx));
        self.0 = None;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"long")))))
    }
}

async fn long_body() -> Body {
    Body::new(LongBody(Some(Box::pin(sleep(LONG)))))
}

async fn handle(_: AnyEvent) {
    sleep(IDLE).await;
}

/// Serves until the test's runtime ends.
async fn serve(set: impl FnOnce(Server) -> Server) -> SocketAddr {
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).build().unwrap();
    let server = set(Server::new([receiver.clone()]));
    let app = Router::new()
        .route("/livez", server.livez())
        .route("/run", get(long))
        .route("/body", get(long_body))
        .route("/webhooks/circa", webhook(receiver).fallback(handle).into_route());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server.serve(listener, app));
    address
}

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
#[tokio::test]
async fn connections_without_a_request_are_closed() {
    let address = serve(|server| server.idle_timeout(IDLE)).await;
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

#[cfg(feature = "http2")]
#[tokio::test]
async fn connections_without_a_request_are_closed_over_http2() {
    let address = serve(|server| server.idle_timeout(IDLE).dangerous_h2c()).await;
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

/// Contract, section 1a: "who gives way is the one who has waited longest, never the newcomer".
#[tokio::test]
async fn the_connection_without_an_answer_for_longest_gives_way() {
    let address = serve(|server| server.max_connections(2)).await;
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

/// Contract, section 9: the same answer on every framework.
#[tokio::test]
async fn a_sender_that_sends_no_more_is_answered() {
    let address = serve(|server| server).await;
    let fixture = &fixtures()[0];
    let signature = CircaSigner::new(SECRET).sign_now(fixture.body().as_bytes());
    let (body, length) = (fixture.body(), fixture.body().len());
    let request = format!(
        "POST /webhooks/circa HTTP/1.1\r\nHost: a\r\nCirca-Signature: {signature}\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = connect(address).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_to_end("answered, then closed", &mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("circa-receiver-outcome: handled"), "{answer}");
}
