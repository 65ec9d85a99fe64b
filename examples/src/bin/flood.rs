//! Measures what strangers can do to a receiver (contract, section 1a): beside new stalled
//! requests, up to a rate, 20 genuine deliveries a second come, whose bodies follow their heads by
//! up to 200 ms. Prints how many were handled within 1 s.
//!
//! `flood RECEIVER [SECONDS] [RATE]`, where `RECEIVER` is the path of a reference receiver, which
//! is started for each protocol.

use std::{
    error::Error,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, SocketAddr},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::body::{Body, Bytes};
use circa_receiver::testing::CircaSigner;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

type BoxError = Box<dyn Error + Send + Sync>;

const SECRET: &str = "whsec_5b7c1f0e9a2d4c6b8e3f7a1d0c9b2e4f";
const GENUINE_EVERY: Duration = Duration::from_millis(50);
const MAX_DELAY_MS: usize = 200;
const WITHIN: Duration = Duration::from_secs(1);
/// A wave of new stalled requests each.
const TICK: Duration = Duration::from_millis(5);
const HTTP2_CONNECTIONS: usize = 64;

#[derive(Default)]
struct Counts {
    stalled: AtomicUsize,
    failed: AtomicUsize,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().ok_or("usage: flood RECEIVER [SECONDS] [RATE]")?;
    let seconds = arguments.next().map_or(Ok(10), |seconds| seconds.parse())?;
    let rate = arguments.next().map_or(Ok(4_000), |rate| rate.parse())?;
    for http2 in [false, true] {
        measure(&binary, Duration::from_secs(seconds), rate, http2).await?;
    }
    Ok(())
}

async fn measure(binary: &str, duration: Duration, rate: usize, http2: bool) -> Result<(), BoxError> {
    let (mut child, address) = start(binary)?;
    let counts = Arc::new(Counts::default());
    // On a thread of its own, one core at most: the genuine deliveries must not wait for the flood
    // in this program.
    let (over, ended) = oneshot::channel::<()>();
    let strangers = {
        let counts = Arc::clone(&counts);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = flood(address, rate, http2, counts) => {}
                    _ = ended => {}
                }
            });
        })
    };
    // The flood first reaches what it can hold.
    sleep(Duration::from_secs(2)).await;
    let (begun, mut every, mut genuine) = (Instant::now(), interval(GENUINE_EVERY), JoinSet::new());
    let (mut sent, mut memory) = (0, 0);
    let before = counts.stalled.load(Ordering::Relaxed);
    while begun.elapsed() < duration {
        every.tick().await;
        genuine.spawn(deliver(address, sent));
        sent += 1;
        memory = memory.max(resident_mib(child.id()));
    }
    let stalled = counts.stalled.load(Ordering::Relaxed) - before;
    let took = begun.elapsed();
    // The last ones are still beside the flood.
    let answers = genuine.join_all().await;
    drop(over);
    strangers.join().map_err(|_| "the flood has panicked")?;
    let in_time = answers.iter().filter(|answer| matches!(answer, Ok((200, took)) if *took <= WITHIN)).count();
    let slowest = answers.iter().flatten().map(|(_, took)| *took).max().unwrap_or_default();
    println!(
        "{} {}: {:.0} stalled a second ({} connections failed); {in_time} of {sent} genuine handled within 1 s ({:.2} %), slowest {} ms; at most {memory} MiB",
        binary.rsplit('/').next().unwrap_or(binary),
        if http2 { "HTTP/2" } else { "HTTP/1.1" },
        stalled as f64 / took.as_secs_f64(),
        counts.failed.load(Ordering::Relaxed),
        100.0 * in_time as f64 / f64::from(sent),
        slowest.as_millis(),
    );
    let mut others = std::collections::BTreeMap::<String, usize>::new();
    for answer in answers.iter().filter(|answer| !matches!(answer, Ok((200, took)) if *took <= WITHIN)) {
        *others
            .entry(answer.as_ref().map_or_else(ToString::to_string, |(status, _)| status.to_string()))
            .or_default() += 1;
    }
    if !others.is_empty() {
        println!("  the others: {others:?}");
    }
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn start(binary: &str) -> Result<(Child, SocketAddr), BoxError> {
    let mut command = Command::new(binary);
    command.env("CIRCA_WEBHOOK_SECRET", SECRET).env("BIND", "127.0.0.1:0").env("H2C", "1").env("RUST_LOG", "error");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().ok_or("no standard error")?;
    let mut lines = BufReader::new(stderr).lines();
    let address = loop {
        let line = lines.next().ok_or("the receiver has ended")??;
        if let Some(address) = line.strip_prefix("listening on ") {
            break address.parse()?;
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    Ok((child, address))
}

/// New stalled requests at a rate, or as fast as they can be made.
async fn flood(address: SocketAddr, rate: usize, http2: bool, counts: Arc<Counts>) {
    let mut every = interval(TICK);
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (begun, mut made) = (Instant::now(), 0_usize);
    let mut connections: Vec<Option<SendRequest<Body>>> = (0..HTTP2_CONNECTIONS).map(|_| None).collect();
    loop {
        every.tick().await;
        let due = (begun.elapsed().as_secs_f64() * rate as f64) as usize;
        // Not more than twice a tick's share at once, where this program was slow.
        let wave = (due - made).min(2 * rate / 200 + 1);
        made = due;
        for number in 0..wave {
            let counts = Arc::clone(&counts);
            if http2 {
                let slot = (made + number) % HTTP2_CONNECTIONS;
                if connections[slot].as_ref().is_none_or(SendRequest::is_closed) {
                    connections[slot] = connect_http2(address).await.ok();
                }
                let Some(connection) = connections[slot].clone() else { continue };
                tokio::spawn(stall_http2(connection, counts));
            } else {
                tokio::spawn(async move {
                    if stall(address, made + number, &counts).await.is_err() {
                        counts.failed.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
    }
}

fn forged() -> String {
    format!("t=1747000800,v1={}", "0".repeat(64))
}

async fn connect(address: SocketAddr, number: usize) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // One source address has no more than 28,000 ports.
    let last = u8::try_from(number % 250).unwrap_or_default() + 2;
    socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into())?;
    socket.connect(address).await
}

/// A request with a well-formed, forged header, whose body never ends. Held until the receiver
/// closes it.
async fn stall(address: SocketAddr, number: usize, counts: &Counts) -> std::io::Result<()> {
    let mut stream = connect(address, number).await?;
    let head = format!(
        "POST /webhooks/circa HTTP/1.1\r\nHost: x\r\nCirca-Signature: {}\r\nContent-Length: 1000\r\n\r\n{{",
        forged()
    );
    stream.write_all(head.as_bytes()).await?;
    counts.stalled.fetch_add(1, Ordering::Relaxed);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Ok(())
}

async fn connect_http2(address: SocketAddr) -> Result<SendRequest<Body>, BoxError> {
    let stream = timeout(WITHIN, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn stall_http2(mut connection: SendRequest<Body>, counts: Arc<Counts>) {
    let request = hyper::Request::post("http://x/webhooks/circa").header("circa-signature", forged());
    let Ok(request) = request.body(Body::new(Endless { is_begun: false })) else { return };
    let sent = async {
        connection.ready().await?;
        counts.stalled.fetch_add(1, Ordering::Relaxed);
        connection.send_request(request).await
    };
    if sent.await.is_err() {
        counts.failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// One byte, and never another.
struct Endless {
    is_begun: bool,
}

impl hyper::body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
        if std::mem::replace(&mut self.is_begun, true) {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(Bytes::from_static(b"{")))))
    }
}

/// A genuine delivery on a connection of its own: its status, and how long it took from its
/// connection on.
async fn deliver(address: SocketAddr, number: u32) -> Result<(u16, Duration), BoxError> {
    let body =
        format!(r#"{{"id":"evt_{number}","type":"webhook.test","livemode":false,"data":{{"message":"hello"}}}}"#);
    let signature = CircaSigner::new(SECRET).sign_now(body.as_bytes());
    let begun = Instant::now();
    let attempt = async {
        let mut stream = TcpStream::connect(address).await?;
        let head = format!(
            "POST /webhooks/circa HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCirca-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        sleep(Duration::from_millis((number as usize * 37 % (MAX_DELAY_MS + 1)) as u64)).await;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok::<_, BoxError>(status.ok_or("no answer")?)
    };
    let status = timeout(Duration::from_secs(10), attempt).await.map_err(|_| "no answer within 10 s")??;
    Ok((status, begun.elapsed()))
}

/// Of a process, where the system says it.
fn resident_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or_default() / 1_024
}
