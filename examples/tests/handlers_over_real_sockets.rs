//! Slow and failing handlers in an axum app on a real socket: hanging up, crowds, failures, the ack deadline.
//!
//! Handlers wait for the test's word, so that nothing depends on how fast the machine is.
#![cfg(unix)]
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, http::StatusCode};
use circa_receiver_axum::{AnyEvent, Event, Receiver, Secret, event::DatapointPulled, webhook};
use support::{CIRCA_SECRET, circa, event, read_answer};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

/// A handler that tells when it starts and ends, and waits for leave to end.
#[derive(Clone)]
struct Gate(Arc<Inner>);

struct Inner {
    started: Semaphore,
    leave: Semaphore,
    ended: Semaphore,
    runs: AtomicUsize,
    /// How many of the first runs fail.
    failures: usize,
}

impl Gate {
    fn new(failures: usize) -> Self {
        let [started, leave, ended] = [(); 3].map(|()| Semaphore::new(0));
        Self(Arc::new(Inner { started, leave, ended, runs: AtomicUsize::new(0), failures }))
    }

    async fn pass(&self) -> StatusCode {
        let run = self.0.runs.fetch_add(1, Ordering::SeqCst);
        self.0.started.add_permits(1);
        wait(&self.0.leave).await;
        self.0.ended.add_permits(1);
        if run < self.0.failures { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
    }

    fn runs(&self) -> usize {
        self.0.runs.load(Ordering::SeqCst)
    }
}

async fn wait(semaphore: &Semaphore) {
    let permit = tokio::time::timeout(Duration::from_secs(20), semaphore.acquire()).await;
    permit.expect("the signal comes").unwrap().forget();
}

async fn pulled(State(gate): State<Gate>, _: Event<DatapointPulled>) -> StatusCode {
    gate.pass().await
}

/// An app with the gate as its only handler, on a free port.
async fn serve(gate: &Gate, ack_deadline: Duration) -> (SocketAddr, Receiver) {
    let receiver = Receiver::circa(Secret::new(CIRCA_SECRET).unwrap()).ack_deadline(ack_deadline).build().unwrap();
    let app = Router::new().route("/webhooks/circa", webhook(receiver.clone()).on(pulled).with_state(gate.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, receiver)
}

const ACK_DEADLINE: Duration = Duration::from_secs(10);

/// Contract, section 8: "A handler runs in its own task: neither a sender that hangs up nor a dropped request future stops it half-way."
#[tokio::test]
async fn a_sender_that_hangs_up_does_not_stop_the_handler() {
    let gate = Gate::new(0);
    let (address, _receiver) = serve(&gate, ACK_DEADLINE).await;
    let request = circa(event("evt_1"));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[request.head(), request.framed_body()].concat()).await.unwrap();
    wait(&gate.0.started).await;
    // The sender waits 300 ms for its answer, in vain, and hangs up, hard: a reset, which the server sees at once.
    let patience = tokio::time::timeout(Duration::from_millis(300), read_answer(&mut stream)).await;
    assert!(patience.is_err(), "no answer before the handler has ended: {patience:?}");
    stream.set_zero_linger().unwrap();
    drop(stream);

    // While the first run goes on, the retry waits for it; it neither runs the handler again nor is refused.
    let retry = tokio::spawn(async move { circa(event("evt_1")).send(address).await });
    tokio::task::yield_now().await;
    gate.0.leave.add_permits(1);
    wait(&gate.0.ended).await;
    assert_eq!(retry.await.unwrap().told(), (200, Some("duplicate")));
    assert_eq!(circa(event("evt_1")).send(address).await.told(), (200, Some("duplicate")));
    assert_eq!(gate.runs(), 1);
}

/// Contract, section 7: "In progress -> wait for it, at most until the ack deadline, and give its answer".
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_identical_deliveries_wait_for_one_slow_run() {
    let gate = Gate::new(0);
    let (address, _receiver) = serve(&gate, ACK_DEADLINE).await;
    let request = circa(event("evt_1"));
    let mut senders = JoinSet::new();
    for _ in 0..100 {
        let request = request.clone();
        senders.spawn(async move { request.send(address).await });
    }
    wait(&gate.0.started).await;
    gate.0.leave.add_permits(100);
    let mut handled = 0;
    while let Some(answer) = senders.join_next().await {
        match answer.unwrap().told() {
            (200, Some("handled")) => handled += 1,
            told => assert_eq!(told, (200, Some("duplicate"))),
        }
    }
    assert_eq!((handled, gate.runs()), (1, 1));
}

/// Contract, section 8: "Retryable error: 500, released."
#[tokio::test]
async fn a_handler_that_fails_first_runs_again_and_is_then_done() {
    let gate = Gate::new(1);
    gate.0.leave.add_permits(3);
    let (address, _receiver) = serve(&gate, ACK_DEADLINE).await;
    for (told, runs) in [((500, None), 1), ((200, Some("handled")), 2), ((200, Some("duplicate")), 2)] {
        assert_eq!(circa(event("evt_1")).send(address).await.told(), told);
        assert_eq!(gate.runs(), runs);
    }
}

/// Contract, section 8: "Panic: caught, 500, released, the server lives."
#[tokio::test]
async fn a_handler_that_panics_is_answered_500_and_the_server_lives() {
    async fn handler(State(gate): State<Gate>, event: AnyEvent) {
        assert!(gate.pass().await.is_success(), "the first run of {} panics on purpose", event.id());
    }

    let gate = Gate::new(1);
    gate.0.leave.add_permits(2);
    let receiver = Receiver::circa(Secret::new(CIRCA_SECRET).unwrap()).build().unwrap();
    let app = Router::new().route("/webhooks/circa", webhook(receiver).fallback(handler).with_state(gate.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let answer = circa(event("evt_1")).send(address).await;
    assert_eq!((answer.status, &*answer.body), (500, "internal server error"));
    assert_eq!(circa(event("evt_1")).send(address).await.told(), (200, Some("handled")));
    assert_eq!(gate.runs(), 2);
}

/// Contract, section 8: "Ack deadline passed: 503 with `Retry-After: 30`; the task runs on [...]; when it succeeds the claim is completed, and the
/// sender's next attempt is answered `duplicate`."
#[tokio::test]
async fn a_handler_beyond_the_ack_deadline_runs_on() {
    let gate = Gate::new(0);
    let (address, _receiver) = serve(&gate, Duration::from_millis(200)).await;
    let request = circa(event("evt_1"));
    // The delivery and its retry are both told to come back; the handler ran once.
    for _ in 0..2 {
        let answer = request.send(address).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")));
    }
    wait(&gate.0.started).await;
    gate.0.leave.add_permits(1);
    wait(&gate.0.ended).await;
    assert_eq!(request.send(address).await.told(), (200, Some("duplicate")));
    assert_eq!(gate.runs(), 1);
}

/// Contract, section 8: "Shutdown: stop intake with 503, let running handlers end until the drain deadline".
#[tokio::test]
async fn shutdown_waits_for_the_running_handler_and_refuses_the_rest() {
    let gate = Gate::new(0);
    let (address, receiver) = serve(&gate, ACK_DEADLINE).await;
    let running = tokio::spawn(async move { circa(event("evt_1")).send(address).await });
    wait(&gate.0.started).await;
    let mut shutdown = tokio::spawn(async move { receiver.shutdown().await });
    // On a runtime of one thread, the spawned task comes first.
    tokio::task::yield_now().await;
    let refused = circa(event("evt_2")).send(address).await;
    assert_eq!((refused.status, &*refused.body), (503, "service unavailable"));
    assert!(!shutdown.is_finished(), "the handler still runs");
    gate.0.leave.add_permits(1);
    (&mut shutdown).await.unwrap();
    assert_eq!(running.await.unwrap().told(), (200, Some("handled")));
    assert_eq!(gate.runs(), 1);
}
