//! A handler that takes longer than any sender waits, in a process of its own with an inbox, on
//! both frameworks: it ends when the test lets it.

use std::{
    env, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use axum::{Router, extract::State};
use circa_receiver::{
    AnyEvent, HandlerError, Receiver, Routes, Secret, SqliteInbox, event::DatapointPulled, inbox::rusqlite::Connection,
};
use circa_receiver_test_support::Folder;
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    process::Command,
    sync::Semaphore,
    time::{sleep, timeout},
};

use crate::support::{CIRCA_SECRET, Process, circa, event, turn};

const FRAMEWORK: &str = "CIRCA_SLOW_FRAMEWORK";
const FILE: &str = "CIRCA_SLOW_FILE";
const DRAIN_SECONDS: &str = "CIRCA_SLOW_DRAIN_SECONDS";

const PATIENCE: Duration = Duration::from_secs(120);
const ACCEPTED: (u16, Option<&str>) = (202, Some("accepted"));
const DUPLICATE: (u16, Option<&str>) = (200, Some("duplicate"));
const FRAMEWORKS: [&str; 2] = ["axum", "actix"];

/// States of an event, as the file has them.
const READY: u32 = 0;
const DONE: u32 = 2;

/// Passed once for each line of standard input.
type Gate = Arc<Semaphore>;

async fn slow(event: AnyEvent, gate: Gate) -> Result<(), HandlerError> {
    // The harness leaves its own line open.
    println!("\nstarted {}", event.id());
    gate.acquire().await?.forget();
    println!("\nended {}", event.id());
    Ok(())
}

async fn slow_in_axum(
    State(gate): State<Gate>,
    circa_receiver_axum::Event(event): circa_receiver_axum::Event<DatapointPulled>,
) -> Result<(), circa_receiver_axum::Failure> {
    slow(event.into(), gate).await.map_err(circa_receiver_axum::Failure)
}

async fn in_axum(receiver: Receiver, listener: TcpListener, gate: Gate) -> io::Result<()> {
    let (route, worker) = circa_receiver_axum::webhook(receiver.clone()).on(slow_in_axum).with_worker(gate);
    tokio::spawn(worker.build().unwrap().run());
    let app = Router::new().route("/webhooks/circa", route);
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    circa_receiver_axum::Server::new([receiver]).grace(Duration::ZERO).serve(listener, app).await
}

/// actix-web's own handlers do not run from an inbox; portable ones do.
async fn in_actix(receiver: Receiver, listener: TcpListener, gate: Gate) -> io::Result<()> {
    let routes = Routes::new().fallback(slow);
    tokio::spawn(receiver.worker(routes.clone(), Arc::clone(&gate)).unwrap().build().unwrap().run());
    let server = circa_receiver_actix::Server::new([receiver.clone()]).grace(Duration::ZERO);
    let app = move || {
        let webhook = circa_receiver_actix::Webhook::portable(receiver.clone(), routes.clone(), Arc::clone(&gate));
        actix_web::App::new().route("/webhooks/circa", webhook.into_route())
    };
    server.serve(listener, app).await
}

/// The process of the tests below.
#[test]
#[ignore = "the tests of this module run it, in a process of its own"]
fn serves_slowly() {
    let (Ok(framework), Ok(file)) = (env::var(FRAMEWORK), env::var(FILE)) else { return };
    let gate = Gate::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    thread::spawn(move || io::stdin().lines().for_each(|_| opened.add_permits(1)));
    let drain = Duration::from_secs(env::var(DRAIN_SECONDS).unwrap().parse().unwrap());
    let serve = async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let builder = Receiver::circa(Secret::new(CIRCA_SECRET).unwrap()).drain_deadline(drain);
        let receiver = builder.inbox(SqliteInbox::open(file).unwrap()).build().unwrap();
        eprintln!("listening on {}", listener.local_addr().unwrap());
        if framework == "axum" {
            in_axum(receiver, listener, gate).await
        } else {
            in_actix(receiver, listener, gate).await
        }
    };
    // Both run on it: actix-web's is one of tokio's with one thread.
    actix_web::rt::System::new().block_on(serve).unwrap();
}

/// A process that serves slowly.
struct Slow {
    process: Process,
    file: PathBuf,
}

impl Slow {
    async fn start(framework: &str, folder: &Path, drain_seconds: u32) -> Self {
        let file = folder.join("inbox.sqlite");
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "slow_handlers_with_an_inbox::serves_slowly", "--ignored", "--nocapture"]);
        command.env(FRAMEWORK, framework).env(FILE, &file).env(DRAIN_SECONDS, drain_seconds.to_string());
        let process = Process::start(command.stdin(Stdio::piped())).await;
        Self { process: process.unwrap_or_else(|before| panic!("{framework} did not start: {before:?}")), file }
    }

    /// The next line of a handler.
    async fn says(&mut self, line: &str) {
        loop {
            let next = self.process.line().await;
            if next.starts_with("started ") || next.starts_with("ended ") {
                return assert_eq!(next, line);
            }
        }
    }

    /// Lets one handler end.
    async fn let_go(&mut self) {
        self.process.stdin().write_all(b"go\n").await.unwrap();
    }

    /// Waits until an event is done.
    async fn is_done(&self, event: &str) {
        let done = async {
            while stored(&self.file, event).0 != DONE {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, done).await.expect("the event is done");
    }

    /// Tells it to stop, and waits until nobody is let in any more.
    async fn is_stopping(&self) {
        self.process.signal("TERM").await;
        let closed = async {
            while TcpStream::connect(self.process.address).await.is_ok() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, closed).await.expect("the socket is closed");
    }
}

/// What the file says of an event: its state, and how many attempts it has used up.
fn stored(file: &Path, event: &str) -> (u32, u32) {
    let of_event = "SELECT state, attempts FROM inbox WHERE event = ?1";
    let connection = Connection::open(file).unwrap();
    connection.query_row(of_event, [event], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// Contract, section 8a: nothing of the sender's time is the handler's. The handler finishes, and
/// further deliveries are `duplicate`, while it runs and afterwards.
#[tokio::test]
async fn the_sender_is_answered_while_the_handler_runs() {
    let _turn = turn::unhurried().await;
    for framework in FRAMEWORKS {
        let folder = Folder::new("slow");
        let mut slow = Slow::start(framework, folder.path(), 20).await;
        let (request, sent) = (circa(event("evt_1")), Instant::now());
        assert_eq!(request.send(slow.process.address).await.told(), ACCEPTED, "{framework}");
        println!("{framework}: answered after {:?}", sent.elapsed());
        slow.says("started evt_1").await;
        assert_eq!(request.send(slow.process.address).await.told(), DUPLICATE, "{framework}");
        slow.let_go().await;
        slow.says("ended evt_1").await;
        slow.is_done("evt_1").await;
        assert_eq!(request.send(slow.process.address).await.told(), DUPLICATE, "{framework}");
        let ended = slow.process.stop().await;
        assert_eq!(ended.code, Some(0), "{framework}: {ended:?}");
        assert!(!ended.stdout.iter().any(|line| line.starts_with("started")), "{framework}: run again: {ended:?}");
    }
}

/// Contract, section 8a: SIGTERM lets a handler end that ends before the drain deadline.
#[tokio::test]
async fn a_process_that_is_stopped_lets_its_handler_end() {
    let _turn = turn::unhurried().await;
    for framework in FRAMEWORKS {
        let folder = Folder::new("slow");
        let mut slow = Slow::start(framework, folder.path(), 60).await;
        assert_eq!(circa(event("evt_1")).send(slow.process.address).await.told(), ACCEPTED, "{framework}");
        slow.says("started evt_1").await;
        slow.is_stopping().await;
        slow.let_go().await;
        slow.says("ended evt_1").await;
        let Slow { process, file } = slow;
        assert_eq!(process.end().await.code, Some(0), "{framework}");
        assert_eq!(stored(&file, "evt_1"), (DONE, 1), "{framework}");
    }
}

/// Contract, section 8a: what still runs at the drain deadline is given back without using up an
/// attempt, and the next process runs it at once.
#[tokio::test]
async fn a_process_that_is_stopped_gives_back_what_does_not_end() {
    let _turn = turn::unhurried().await;
    for framework in FRAMEWORKS {
        let folder = Folder::new("slow");
        let mut slow = Slow::start(framework, folder.path(), 1).await;
        assert_eq!(circa(event("evt_1")).send(slow.process.address).await.told(), ACCEPTED, "{framework}");
        slow.says("started evt_1").await;
        let Slow { process, file } = slow;
        assert_eq!(process.stop().await.code, Some(0), "{framework}");
        assert_eq!(stored(&file, "evt_1"), (READY, 0), "{framework}");

        let mut slow = Slow::start(framework, folder.path(), 20).await;
        slow.says("started evt_1").await;
        slow.let_go().await;
        slow.says("ended evt_1").await;
        slow.is_done("evt_1").await;
        assert_eq!(circa(event("evt_1")).send(slow.process.address).await.told(), DUPLICATE, "{framework}");
        assert_eq!(slow.process.stop().await.code, Some(0), "{framework}");
    }
}
