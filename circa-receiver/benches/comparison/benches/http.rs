//! Requests per second over HTTP on loopback, on both frameworks: `cargo bench --bench http`.
//!
//! The server runs on core 0, `wrk` with 32 connections on core 1. In each of five rounds each
//! candidate gets a fresh server and deliveries signed in that round, none twice; every answer must
//! be 200 and every event handled. It needs `wrk` and `taskset`, takes about seven minutes, and
//! fails where a goal of `docs/performance.md` is missed.

use std::{
    fs::{self, File},
    io::{BufWriter, Read, Write},
    net::TcpStream,
    os::fd::AsRawFd,
    path::Path,
    process::{Command, ExitCode},
};

use circa_receiver_bench_support::{Delivery, Goal, Table, median, rounded};
use circa_receiver_test_support::{Process, free_port, run, wait_until};

const ROUNDS: usize = 5;
/// Of one candidate in one round.
const SECONDS: u64 = 2;
/// With the goals for ours, requests per second to theirs, at each of [`SIZES`].
const CANDIDATES: [(&str, [Option<f64>; 2]); 5] = [
    ("circa-receiver", [None, None]),
    ("careful", [Some(1.0), Some(1.15)]),
    ("naive", [Some(0.95), Some(1.05)]),
    ("answer", [Some(0.85), Some(0.85)]),
    (BARE, [None, None]),
];
const BARE: &str = "bare";
/// Bodies in bytes, and more requests than are answered in a second.
const SIZES: [(&str, usize, u64); 2] = [("300 B", 300, 140_000), ("4 KiB", 4_096, 100_000)];
/// Clock ticks per second in `/proc/PID/stat`: fixed on Linux.
const TICKS: f64 = 100.0;
const INSTALL: &str = "apt-get install wrk util-linux";

fn main() -> ExitCode {
    let heads = ["body", "framework", "candidate", "requests/s", "CPU us per request", "circa-receiver to it"];
    let mut table = Table::new(&heads);
    for (at, (size, bytes, most_per_second)) in SIZES.into_iter().enumerate() {
        for framework in ["axum", "actix"] {
            let round = |number| {
                println!("{size}, {framework}, round {} of {ROUNDS}", number + 1);
                let (load, length) = sign(bytes, most_per_second * SECONDS);
                CANDIDATES.map(|(candidate, _)| measure(framework, candidate, &load, length))
            };
            let rounds: Vec<[Figures; 5]> = (0..ROUNDS).map(round).collect();
            for (this, (candidate, goals)) in CANDIDATES.into_iter().enumerate() {
                let of_rounds = |figure: &dyn Fn(&[Figures; 5]) -> f64| median(rounds.iter().map(figure));
                let per_second = rounded(of_rounds(&|round| round[this].per_second));
                let cpu = rounded(of_rounds(&|round| round[this].cpu));
                let ratio = of_rounds(&|round| round[0].per_second / round[this].per_second);
                let ratio = table.cell(Some(ratio), goals[at].map(Goal::AtLeast));
                table.row(size, &[framework.to_owned(), candidate.to_owned(), per_second, cpu, ratio]);
            }
        }
    }
    table.print()
}

/// Of one candidate in one round.
struct Figures {
    /// Requests.
    per_second: f64,
    /// Microseconds of the server's CPU per request.
    cpu: f64,
}

fn measure(framework: &str, candidate: &str, load: &File, length: usize) -> Figures {
    let server = Server::start(framework, candidate);
    let before = server.ticks();
    let mut wrk = Command::new("taskset");
    if candidate == BARE {
        wrk.env("STATIC", "1");
    }
    let requests = format!("/proc/{}/fd/{}", std::process::id(), load.as_raw_fd());
    wrk.args(["-c", "1", "wrk", "-t1", "-c32", &format!("-d{SECONDS}s"), "-s"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load.lua"))
        .arg(format!("http://127.0.0.1:{}", server.port))
        .envs([("REQUESTS", requests), ("LENGTH", length.to_string())]);
    let output = run(&mut wrk, INSTALL);
    let ticks = server.ticks() - before;
    let result = output.lines().find_map(|line| line.strip_prefix("RESULT ")).expect("`load.lua` prints it");
    let figures: Vec<f64> = result.split(' ').map(|figure| figure.parse().expect("a number")).collect();
    let [requests, microseconds, failed] = figures[..] else { panic!("three figures: {result}") };
    let handled = server.handled();
    let name = format!("{framework}, {candidate}");
    assert_eq!(failed, 0.0, "{name}: answers other than 200, or broken connections");
    // What was answered when the time was over, and what was still on its way.
    assert!((requests..=requests + 64.0).contains(&handled), "{name}: {handled} handled of {requests}");
    Figures { per_second: requests / microseconds * 1e6, cpu: ticks / TICKS * 1e6 / handled }
}

/// Signs deliveries now, as whole requests of one length, one behind the other in a file without a
/// name. Gives the length, too.
fn sign(bytes: usize, requests: u64) -> (File, usize) {
    let path = format!("/dev/shm/circa-receiver-load-{}", std::process::id());
    let mut file = BufWriter::with_capacity(1 << 20, File::create_new(&path).expect("a file for the load"));
    fs::remove_file(path).expect("it was just made");
    let mut length = 0;
    for number in 0..requests {
        let delivery = Delivery::pulled(number, bytes);
        let mut request = b"POST /webhooks/circa HTTP/1.1\r\n".to_vec();
        for (name, value) in delivery.headers() {
            request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        request.extend([b"\r\n", &delivery.body[..]].concat());
        length = request.len();
        file.write_all(&request).expect("room for the load");
    }
    (file.into_inner().expect("room for the load"), length)
}

struct Server {
    process: Process,
    port: u16,
}

impl Server {
    fn start(framework: &str, candidate: &str) -> Self {
        let port = free_port();
        let mut server = Command::new("taskset");
        server.args(["-c", "0", env!("CARGO_BIN_EXE_server"), framework, candidate, &port.to_string()]);
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("server.log");
        let process = Process::start(&mut server, &log, INSTALL);
        wait_until("the server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { process, port }
    }

    /// CPU time so far, user and system.
    fn ticks(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.pid())).expect("the server runs");
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number")).sum()
    }

    fn handled(&self) -> f64 {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        connection.write_all(b"GET /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("it answers");
        answer.lines().last().and_then(|count| count.parse().ok()).expect("a number")
    }
}
