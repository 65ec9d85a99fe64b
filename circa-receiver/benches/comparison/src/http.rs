//! Over HTTP on loopback: a bare route, receivers written by hand, and ours on both frameworks, the server on one core and the load on another, in alternating rounds.
//!
//! In a part of its own: what no receiver can leave out, one thing upon the other, beside ours.
//!
//! Each candidate gets a server of its own in each round, and deliveries signed within that round, no event twice.

use std::{
    fs,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use circa_receiver::testing::CircaSigner;

use crate::measure::{SECRET, body, promise::Promise, rounds::median, size, table::Table};

const FRAMEWORKS: [&str; 2] = ["axum", "actix"];
/// `naive` and `careful` are receivers written by hand, the one from the vendor's page, the other with an eye on speed.
/// `ours` keeps its claims in the faster of the memory stores, `ours-by-default` in the default one.
const CANDIDATES: [&str; 5] = ["bare", "naive", "careful", "ours", "ours-by-default"];
/// Each does what the one before it does, and one part of a delivery more: see `rungs.rs`.
const RUNGS: [&str; 7] = ["bare", "verify", "parse", "claim", "task", "answer", "ours"];
const BARE: usize = 0;
const NAIVE: usize = 1;
const OURS: usize = 3;
/// The body in bytes; more requests than are answered in a second; the share of the bare route that is promised.
const SIZES: [(usize, u64, f64); 2] = [(300, 140_000, 0.75), (4_096, 100_000, 0.45)];
/// To the naive receiver, at both sizes.
const PROMISED_TO_NAIVE: f64 = 1.3;
/// Clock ticks per second in `/proc/PID/stat`: fixed on Linux.
const TICKS: f64 = 100.0;
/// A server that is less busy than this was not what the round measured.
const BUSY: f64 = 0.9;

/// One candidate in one round.
struct Round {
    per_second: f64,
    /// Microseconds.
    p50: f64,
    p99: f64,
    /// Microseconds of the server's CPU per request.
    cpu: f64,
    /// The share of the time that the server was running.
    busy: f64,
}

/// All rounds of each candidate on one framework, in the candidates' order.
struct Results {
    framework: &'static str,
    rounds: Vec<Vec<Round>>,
}

impl Results {
    fn figure(&self, of: usize, figure: fn(&Round) -> f64) -> f64 {
        median(self.rounds[of].iter().map(figure))
    }

    fn ratio(&self, of: usize, to: usize, figure: fn(&Round) -> f64) -> f64 {
        median(self.rounds[of].iter().zip(&self.rounds[to]).map(|(of, to)| figure(of) / figure(to)))
    }

    fn more(&self, of: usize, than: usize, figure: fn(&Round) -> f64) -> f64 {
        median(self.rounds[of].iter().zip(&self.rounds[than]).map(|(of, than)| figure(of) - figure(than)))
    }
}

/// Runs all candidates in alternating rounds; `seconds` is the length of one candidate's run in one round.
fn results(candidates: &[&str], bytes: usize, most_per_second: u64, rounds: usize, seconds: u64) -> [Results; 2] {
    let load = Load::new(bytes, most_per_second * seconds);
    let mut results =
        FRAMEWORKS.map(|framework| Results { framework, rounds: candidates.iter().map(|_| Vec::new()).collect() });
    for _ in 0..rounds {
        load.sign();
        for Results { framework, rounds } in &mut results {
            for (candidate, rounds) in candidates.iter().zip(rounds) {
                rounds.push(round(framework, candidate, &load, seconds));
            }
        }
    }
    results
}

/// Ours beside the bare route and receivers written by hand.
pub fn run(rounds: usize, seconds: u64) -> (Table, Vec<Promise>) {
    let mut table = Table::new(
        "Over HTTP: requests per second; medians of the rounds",
        &[
            "body",
            "framework",
            "candidate",
            "requests/s",
            "p50 us",
            "p99 us",
            "CPU us",
            "server busy",
            "to bare",
            "to naive",
            "CPU to bare",
        ],
    );
    let mut promises = Vec::new();
    for (bytes, most_per_second, promised) in SIZES {
        for results in results(&CANDIDATES, bytes, most_per_second, rounds, seconds) {
            let share = |of, to| results.ratio(of, to, |round| round.per_second);
            for (at, candidate) in CANDIDATES.iter().enumerate() {
                table.row([
                    size(bytes).into(),
                    results.framework.into(),
                    (*candidate).into(),
                    results.figure(at, |round| round.per_second).round().into(),
                    results.figure(at, |round| round.p50).into(),
                    results.figure(at, |round| round.p99).into(),
                    results.figure(at, |round| round.cpu).into(),
                    results.figure(at, |round| round.busy).into(),
                    share(at, BARE).into(),
                    share(at, NAIVE).into(),
                    results.ratio(at, BARE, |round| round.cpu).into(),
                ]);
            }
            let what = |to| format!("{}, {}: requests per second, to the {to}", results.framework, size(bytes));
            promises.push(Promise::at_least(what("bare route"), promised, share(OURS, BARE)));
            promises.push(Promise::at_least(what("naive receiver"), PROMISED_TO_NAIVE, share(OURS, NAIVE)));
        }
    }
    (table, promises)
}

/// What no receiver can leave out, one part upon the other, and ours.
pub fn rungs(rounds: usize, seconds: u64) -> (Table, Vec<Promise>) {
    let mut table = Table::new(
        "Over HTTP, part upon part: requests per second; medians of the rounds",
        &["body", "framework", "up to", "requests/s", "CPU us", "more than the one before", "to bare"],
    );
    for (bytes, most_per_second, _) in SIZES {
        for results in results(&RUNGS, bytes, most_per_second, rounds, seconds) {
            for (at, rung) in RUNGS.iter().enumerate() {
                table.row([
                    size(bytes).into(),
                    results.framework.into(),
                    (*rung).into(),
                    results.figure(at, |round| round.per_second).round().into(),
                    results.figure(at, |round| round.cpu).into(),
                    results.more(at, at.saturating_sub(1), |round| round.cpu).into(),
                    results.ratio(at, BARE, |round| round.per_second).into(),
                ]);
            }
        }
    }
    (table, Vec::new())
}

fn round(framework: &str, candidate: &str, load: &Load, seconds: u64) -> Round {
    let server = Server::start(framework, candidate);
    let before = server.ticks();
    let mut wrk = Command::new("taskset");
    if candidate == CANDIDATES[BARE] {
        wrk.env("STATIC", "1");
    }
    let wrk = wrk
        .args(["-c", "1", "wrk", "-t1", "-c32", &format!("-d{seconds}s"), "-s"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/src/load.lua"))
        .arg(format!("http://127.0.0.1:{}", server.port))
        .envs([("REQUESTS", load.path.display().to_string()), ("LENGTH", load.length.get().to_string())])
        .output()
        .expect("`wrk` and `taskset` are installed");
    let ticks = server.ticks() - before;
    let output = String::from_utf8_lossy(&wrk.stdout).into_owned();
    let result = output.lines().find_map(|line| line.strip_prefix("RESULT "));
    let result = result.unwrap_or_else(|| panic!("no result: {output}{}", String::from_utf8_lossy(&wrk.stderr)));
    let figures: Vec<f64> = result.split(' ').map(|figure| figure.parse().expect("a number")).collect();
    let [requests, microseconds, p50, p99, errors, cycles] = figures[..] else { panic!("six figures: {result}") };
    let handled = server.handled();
    let name = format!("{framework}, {candidate}");
    assert_eq!(errors, 0.0, "{name}: answers other than 2xx, or broken connections");
    // What was answered when the time was over, and what was still on its way.
    assert!((requests..=requests + 64.0).contains(&handled), "{name}: {handled} handled of {requests}");
    assert!(cycles == 0.0, "{name}: the deliveries did not last, sign more of them");
    let round = Round {
        per_second: requests / microseconds * 1e6,
        p50,
        p99,
        cpu: ticks / TICKS * 1e6 / handled,
        busy: ticks / TICKS * 1e6 / microseconds,
    };
    if round.busy < BUSY {
        println!(
            "  {name}: the server was busy {:.0} % of the time: the load was what was measured",
            100.0 * round.busy
        );
    }
    round
}

/// Deliveries as whole requests, one behind the other in a file.
struct Load {
    path: PathBuf,
    bytes: usize,
    requests: u64,
    /// Of one request, in bytes.
    length: std::cell::Cell<usize>,
}

impl Load {
    fn new(bytes: usize, requests: u64) -> Self {
        let folder = if fs::metadata("/dev/shm").is_ok() { "/dev/shm".into() } else { std::env::temp_dir() };
        let path = folder.join(format!("circa-receiver-load-{}", std::process::id()));
        Self { path, bytes, requests, length: std::cell::Cell::new(0) }
    }

    /// Signs all deliveries now.
    fn sign(&self) {
        let signer = CircaSigner::new(SECRET);
        let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(&self.path).expect("a file for the load"));
        for number in 0..self.requests {
            let (id, body) = (body::id(number), body::pulled(number, self.bytes));
            let head = format!(
                "POST /webhooks/circa HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Circa-Webhooks/1.0\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\nCirca-Event: datapoint.pulled\r\nCirca-Event-Id: {id}\r\nCirca-Webhook-Id: wh_8c2a17a4\r\n\
                 Circa-Signature: {}\r\n\r\n",
                body.len(),
                signer.sign_now(&body),
            );
            self.length.set(head.len() + body.len());
            file.write_all(head.as_bytes()).and_then(|()| file.write_all(&body)).expect("room for the load");
        }
        file.flush().expect("room for the load");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A server process, ended when dropped.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(framework: &str, candidate: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let program = std::env::current_exe().expect("a path").with_file_name("server");
        let process = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args([framework, candidate, &port.to_string()])
            .env("SECRET", SECRET)
            .stdin(Stdio::null())
            .spawn()
            .expect("`taskset` is installed, and the `server` is built");
        let server = Self { process, port };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the server does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// CPU time so far, user and system.
    fn ticks(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("the server runs");
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        behind_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number")).sum()
    }

    fn handled(&self) -> f64 {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("the server listens");
        connection.write_all(b"GET /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        BufReader::new(&mut connection).read_to_string(&mut answer).expect("it answers");
        answer.as_bytes().lines().last().and_then(Result::ok).and_then(|count| count.parse().ok()).expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
