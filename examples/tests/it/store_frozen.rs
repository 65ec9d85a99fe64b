//! A server that stands still: deliveries are refused in time, `/healthz` says so, and all is well
//! with the first delivery after it.

use std::time::Duration;

use crate::support::{
    Answer, CIRCA_SECRET, Process, REFERENCES, Reference, Request, circa, event, pulled_line, sender::id,
    server::Server, slowest_answer_during, turn,
};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

/// Claims are repeated until 2 s before the ack deadline of 10 s, and the last may take the store
/// timeout of 2 s; and 200 ms.
const WITHIN: Duration = Duration::from_millis(10_200);

/// A hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Deliveries at once while the server is frozen.
const AT_ONCE: usize = 8;

/// Contract, section 7: a store that is away is a 503 `store_unavailable`, by the ack deadline.
async fn a_frozen_server_is_a_503_in_time(server: Server) {
    let _turn = turn::unhurried().await;
    for reference in &REFERENCES {
        let who = format!("{} on {}", reference.name, server.name());
        // Events of their own: the store keeps those of the other.
        let (first, frozen) =
            (format!("{}_first", reference.name), |number| format!("{}_{}", reference.name, id(number)));
        let process = start(reference, &server).await;
        assert_eq!(health(&process).await, (200, "ok".to_owned()), "{who}");
        assert_eq!(circa(event(&first)).send(process.address).await.told(), (200, Some("handled")), "{who}");

        server.freeze();
        let mut answers = JoinSet::new();
        for number in 0..AT_ONCE {
            answers.spawn(timed(circa(event(&frozen(number))), &process));
        }
        // What was handled cannot be known either.
        answers.spawn(timed(circa(event(&first)), &process));
        let (answers, slowest) = slowest_answer_during(process.address, answers.join_all()).await;
        for (answer, took) in answers {
            assert_eq!(answer.status, 503, "{who}: {answer:?}");
            // What a busy machine adds: to the way there and back, and to the timeout's waking.
            assert!(took <= WITHIN + 2 * slowest, "{who}: after {took:?}, {slowest:?}");
        }
        becomes(&process, 503, "the dedup store or the inbox does not answer").await;

        server.thaw();
        for number in 0..AT_ONCE {
            let answer = circa(event(&frozen(number))).send(process.address).await;
            assert_eq!(answer.told(), (200, Some("handled")), "{who}: delivery {number} after the thaw");
        }
        assert_eq!(circa(event(&first)).send(process.address).await.told(), (200, Some("duplicate")), "{who}");
        becomes(&process, 200, "ok").await;
        let lines: Vec<_> = [first].into_iter().chain((0..AT_ONCE).map(frozen)).map(|id| pulled_line(&id)).collect();
        assert_eq!(process.stop().await.stdout, lines, "{who}");
    }
}

async fn start(reference: &Reference, server: &Server) -> Process {
    let secret = ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET.to_owned());
    reference.start_with(&[secret, ("STORE_URL", server.url())]).await
}

/// Health answers this within the second for which the store is not asked again.
async fn becomes(process: &Process, status: u16, body: &str) {
    let answered = async { while health(process).await != (status, body.to_owned()) {} };
    timeout(PATIENCE, answered).await.expect(body);
}

async fn health(process: &Process) -> (u16, String) {
    let answer = Request::post("/healthz").method("GET").send(process.address).await;
    (answer.status, answer.body)
}

fn timed(request: Request, process: &Process) -> impl Future<Output = (Answer, Duration)> + use<> {
    let address = process.address;
    async move {
        let started = Instant::now();
        (request.send(address).await, started.elapsed())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis() {
    a_frozen_server_is_a_503_in_time(Server::redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    a_frozen_server_is_a_503_in_time(Server::postgres()).await;
}

/// Health is the same answer on both frameworks, byte for byte.
#[tokio::test]
async fn both_frameworks_answer_the_same() {
    let _turn = turn::unhurried().await;
    let server = Server::redis();
    let (mut well, mut ill) = (Vec::new(), Vec::new());
    for reference in &REFERENCES {
        let process = start(reference, &server).await;
        let healthz = Request::post("/healthz").method("GET");
        well.push(healthz.send(process.address).await);
        server.freeze();
        becomes(&process, 503, "the dedup store or the inbox does not answer").await;
        ill.push(healthz.send(process.address).await);
        server.thaw();
    }
    assert_eq!(well[0], well[1]);
    assert_eq!(ill[0], ill[1]);
}
