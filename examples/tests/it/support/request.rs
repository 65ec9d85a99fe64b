//! Requests, byte by byte: HTTP/1.1 written by hand, so that framing is under control, and HTTP/2
//! with prior knowledge.

use std::{future::pending, net::SocketAddr, time::Duration};

use axum::body::{Body, to_bytes};
use hyper::client::conn::http2::handshake;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than any deadline of a receiver: a hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

#[derive(Clone)]
pub(crate) struct Request {
    method: String,
    path: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    framing: Framing,
}

/// How HTTP/1.1 tells where the body ends.
#[derive(Clone)]
enum Framing {
    Length,
    /// The sizes of the chunks, again and again until the body is sent.
    Chunks(Vec<usize>),
    Nothing,
}

/// What came back. `Date` is left out: it is the server's, and the only header that may differ
/// between two equal answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn post(path: &str) -> Self {
        let (headers, body, framing) = (Vec::new(), Vec::new(), Framing::Length);
        Self { method: "POST".to_owned(), path: path.to_owned(), headers, body, framing }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    pub(crate) fn method_name(&self) -> &str {
        &self.method
    }

    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The body, sent with its length; what was signed stays as it is.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body in chunks of so many bytes, over HTTP/1.1 without `Content-Length`.
    pub(crate) fn chunked(self, bytes: usize) -> Self {
        self.chunked_as(&[bytes])
    }

    /// As [`Request::chunked`], in chunks of these sizes, again and again.
    pub(crate) fn chunked_as(mut self, sizes: &[usize]) -> Self {
        self.framing = Framing::Chunks(sizes.to_vec());
        self
    }

    /// Without a word about the body, which is right only for an empty one.
    pub(crate) fn unframed(mut self) -> Self {
        assert!(self.body.is_empty());
        self.framing = Framing::Nothing;
        self
    }

    /// The head as HTTP/1.1.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: receiver\r\n", self.method, self.path).into_bytes();
        for (name, value) in &self.headers {
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        let framing = match self.framing {
            Framing::Length => format!("Content-Length: {}\r\n\r\n", self.body.len()),
            Framing::Chunks(_) => "Transfer-Encoding: chunked\r\n\r\n".to_owned(),
            Framing::Nothing => "\r\n".to_owned(),
        };
        head.extend(framing.into_bytes());
        head
    }

    /// The body as HTTP/1.1 frames it.
    pub(crate) fn framed_body(&self) -> Vec<u8> {
        let Framing::Chunks(sizes) = &self.framing else { return self.body.clone() };
        let (mut framed, mut rest) = (Vec::new(), &self.body[..]);
        for &size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, behind) = rest.split_at(size.min(rest.len()));
            framed.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
            rest = behind;
        }
        framed.extend(b"0\r\n\r\n");
        framed
    }

    /// Sent on a connection of its own.
    pub(crate) async fn send_over(&self, protocol: Protocol, address: SocketAddr) -> Answer {
        match protocol {
            Protocol::Http1 => self.send(address).await,
            Protocol::Http2 => self.send_http2(address).await,
        }
    }

    /// Sent over HTTP/1.1, on a connection of its own.
    pub(crate) async fn send(&self, address: SocketAddr) -> Answer {
        self.try_send(address).await.expect("the server answers")
    }

    /// As [`Request::send`]; `None` where the connection ends without an answer.
    pub(crate) async fn try_send(&self, address: SocketAddr) -> Option<Answer> {
        self.send_on(TcpStream::connect(address).await.unwrap()).await
    }

    /// As [`Request::try_send`]; `None` also where nobody listens.
    pub(crate) async fn attempt(&self, address: SocketAddr) -> Option<Answer> {
        self.send_on(TcpStream::connect(address).await.ok()?).await
    }

    async fn send_on(&self, mut stream: TcpStream) -> Option<Answer> {
        let (mut reader, mut writer) = stream.split();
        let bytes = [self.head(), self.framed_body()].concat();
        // A server that has refused may close before it has read everything: the answer counts, not
        // the write.
        let write = async {
            let _ = writer.write_all(&bytes).await;
            pending::<()>().await;
        };
        tokio::select! {
            answer = read_answer(&mut reader) => answer,
            () = write => unreachable!("the write never ends"),
        }
    }

    /// Sent over HTTP/2 with prior knowledge, on a connection of its own.
    pub(crate) async fn send_http2(&self, address: SocketAddr) -> Answer {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (mut client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request =
            http::Request::builder().method(self.method.as_str()).uri(format!("http://receiver{}", self.path));
        for (name, value) in &self.headers {
            request = request.header(name.as_str(), value.as_slice());
        }
        let request = request.body(Body::from(self.body.clone())).unwrap();
        let response = timeout(PATIENCE, client.send_request(request)).await.expect("the server answers").unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(Body::new(body), usize::MAX).await.unwrap();
        connection.abort();
        let mut answer = Answer::new(parts.status.as_u16(), String::from_utf8(body.to_vec()).unwrap());
        for (name, value) in &parts.headers {
            answer.push(name.as_str(), value.to_str().unwrap());
        }
        answer
    }
}

impl Answer {
    fn new(status: u16, body: String) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    fn push(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        if name != "date" {
            self.headers.push((name, value.trim().to_owned()));
            self.headers.sort();
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The status, and what the receiver says that became of the delivery.
    pub(crate) fn told(&self) -> (u16, Option<&str>) {
        (self.status, self.header("circa-receiver-outcome"))
    }
}

/// Reads one HTTP/1.1 answer; `None` where the connection ends before it is complete.
pub(crate) async fn read_answer(reader: &mut (impl AsyncRead + Unpin)) -> Option<Answer> {
    read_answer_to("POST", reader).await
}

/// As [`read_answer`], to a request of this method: the answer to HEAD has no body.
pub(crate) async fn read_answer_to(method: &str, reader: &mut (impl AsyncRead + Unpin)) -> Option<Answer> {
    let mut read = Vec::new();
    let head = loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8(read.drain(..end + 4).collect()).unwrap();
        }
        more(reader, &mut read).await?;
    };
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
    let mut answer = Answer::new(status, String::new());
    for line in lines {
        let (name, value) = line.split_once(':').unwrap();
        answer.push(name, value);
    }
    let announced = answer.header("content-length").filter(|_| method != "HEAD");
    let length = announced.map_or(0, |length| length.parse().unwrap());
    while read.len() < length {
        more(reader, &mut read).await?;
    }
    answer.body = String::from_utf8(read).unwrap();
    Some(answer)
}

async fn more(reader: &mut (impl AsyncRead + Unpin), read: &mut Vec<u8>) -> Option<()> {
    match timeout(PATIENCE, reader.read_buf(read)).await.expect("the server answers, or hangs up") {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(()),
    }
}
