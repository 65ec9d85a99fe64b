//! Where a simulator sends its deliveries: a service in this process, or a URL.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Sleep, sleep},
};

use crate::answer::OUTCOME_HEADER;

/// Takes deliveries. The adapters' `testing` modules make one of an axum `Router`, any tower
/// service, or an actix application.
pub trait Target {
    /// Delivers one request; `None` where the connection ended without an answer. Dropped, the
    /// sender has hung up.
    fn deliver(&self, request: Request<SimulatedBody>) -> impl Future<Output = Option<Answer>>;
}

impl<T: Target> Target for &T {
    fn deliver(&self, request: Request<SimulatedBody>) -> impl Future<Output = Option<Answer>> {
        (**self).deliver(request)
    }
}

/// What a target answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    status: u16,
    outcome: Option<String>,
    body: Bytes,
}

impl Answer {
    /// From the status, the headers as pairs of name and raw value, and the body.
    pub fn new<'h>(
        status: u16,
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
        body: impl Into<Bytes>,
    ) -> Self {
        let outcome = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(OUTCOME_HEADER));
        let outcome = outcome.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        Self { status, outcome, body: body.into() }
    }

    /// The HTTP status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The value of `circa-receiver-outcome`.
    pub fn outcome(&self) -> Option<&str> {
        self.outcome.as_deref()
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the sender takes it as received: 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A body that arrives in chunks, with pauses before them.
#[derive(Debug)]
pub struct SimulatedBody {
    chunks: VecDeque<(Duration, Bytes)>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl SimulatedBody {
    /// All at once.
    pub fn whole(body: impl Into<Bytes>) -> Self {
        Self { chunks: VecDeque::from([(Duration::ZERO, body.into())]), pause: None }
    }

    /// In so many parts, the whole taking about so long.
    pub fn slow(body: impl Into<Bytes>, parts: usize, duration: Duration) -> Self {
        let mut body = body.into();
        let parts = parts.clamp(1, body.len().max(1));
        let pause = duration / u32::try_from(parts).unwrap_or(u32::MAX);
        let size = body.len().div_ceil(parts);
        let mut chunks = VecDeque::new();
        while !body.is_empty() {
            chunks.push_back((pause, body.split_to(size.min(body.len()))));
        }
        Self { chunks, pause: None }
    }
}

impl From<Vec<u8>> for SimulatedBody {
    fn from(body: Vec<u8>) -> Self {
        Self::whole(body)
    }
}

impl Stream for SimulatedBody {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(&(pause, _)) = self.chunks.front() else { return Poll::Ready(None) };
        if !pause.is_zero() {
            let sleeping = self.pause.get_or_insert_with(|| Box::pin(sleep(pause)));
            if sleeping.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.pause = None;
        }
        Poll::Ready(self.chunks.pop_front().map(|(_, chunk)| Ok(chunk)))
    }
}

/// A receiver at an address, over HTTP/1.1 without TLS, on the real clock.
#[derive(Clone)]
pub struct HttpTarget {
    authority: String,
}

impl HttpTarget {
    /// The receiver at `host:port`, such as `"127.0.0.1:3000"`.
    pub fn new(authority: &str) -> Self {
        Self { authority: authority.to_owned() }
    }

    async fn exchange(&self, request: Request<SimulatedBody>) -> io::Result<Answer> {
        let (parts, mut body) = request.into_parts();
        let mut stream = TcpStream::connect(&self.authority).await?;
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", parts.method, parts.uri, self.authority).into_bytes();
        for (name, value) in &parts.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"connection: close\r\n\r\n");
        stream.write_all(&head).await?;
        while let Some(chunk) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
            // A receiver may answer before it has read everything; its answer counts.
            if stream.write_all(&chunk?).await.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        parse(&answer).ok_or_else(|| read.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()))
    }
}

impl Target for HttpTarget {
    async fn deliver(&self, request: Request<SimulatedBody>) -> Option<Answer> {
        self.exchange(request).await.ok()
    }
}

fn parse(answer: &[u8]) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = std::str::from_utf8(&answer[..end]).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim().as_bytes()));
    Some(Answer::new(status, headers, Bytes::copy_from_slice(&answer[end + 4..])))
}

impl fmt::Debug for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTarget").field("authority", &self.authority).finish()
    }
}
