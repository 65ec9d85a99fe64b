//! Slow, failing and panicking handlers on real sockets: one list of behaviours, for the route and
//! the layer of both frameworks.
//!
//! Handlers wait for the test's word, so that nothing depends on how fast the machine is.

mod gate;
mod mounts;

use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use circa_receiver::dedup::MemoryStore;
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::timeout};

use self::{
    gate::{FirstRun, Gate, PATIENCE, succeed, wait, wait_for},
    mounts::{MOUNTS, Mount, circa_receiver},
};
use crate::support::{Answer, Request, circa, event, read_answer, turn};

/// Nearly the longest that is allowed, for a hundred deliveries on a busy machine.
const ACK_DEADLINE: Duration = Duration::from_secs(14);

/// Contract, section 9: "The same request gets the same status, headers and body from the axum and
/// the actix adapter".
async fn alike_on_every_mount(behaviour: impl AsyncFn(&Mount) -> Vec<Answer>) {
    let _turn = turn::unhurried().await;
    let mut first = None;
    for mount in &MOUNTS {
        let answers = behaviour(mount).await;
        let expected = first.get_or_insert_with(|| answers.clone());
        assert_eq!(&answers, expected, "{} answers otherwise than {}", mount.name, MOUNTS[0].name);
    }
}

/// Contract, section 8: "A handler runs in its own task: neither a sender that hangs up nor a
/// dropped request future stops it half-way."
#[tokio::test]
async fn a_sender_that_hangs_up_does_not_stop_the_handler() {
    alike_on_every_mount(async |mount| {
        let gate = Gate::new(succeed);
        let (address, _receiver, _served) = mount.serve(&gate, ACK_DEADLINE);
        let request = circa(event("evt_1"));
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[request.head(), request.framed_body()].concat()).await.unwrap();
        wait(&gate.0.started).await;
        // The sender waits 300 ms for its answer, in vain, and hangs up, hard: a reset, which the
        // server sees at once.
        let patience = timeout(Duration::from_millis(300), read_answer(&mut stream)).await;
        assert!(patience.is_err(), "{}: no answer before the handler has ended: {patience:?}", mount.name);
        stream.set_zero_linger().unwrap();
        drop(stream);
        wait(&gate.0.gone).await;

        // While the first run goes on, the retry waits for it; it neither runs the handler again
        // nor is refused.
        let retry = tokio::spawn(async move { circa(event("evt_1")).send(address).await });
        wait_for(2, &gate.0.authenticated).await;
        gate.0.leave.add_permits(1);
        wait(&gate.0.ended).await;
        let answers = vec![retry.await.unwrap(), circa(event("evt_1")).send(address).await];
        assert!(answers.iter().all(|answer| answer.told() == (200, Some("duplicate"))), "{} {answers:?}", mount.name);
        assert_eq!(gate.runs(), 1, "{}", mount.name);
        answers
    })
    .await;
}

/// Contract, section 7: "In progress -> wait for it, at most until the ack deadline, and give its
/// answer".
#[tokio::test(flavor = "multi_thread")]
async fn sixty_identical_deliveries_wait_for_one_slow_run() {
    alike_on_every_mount(async |mount| {
        let gate = Gate::new(succeed);
        let (address, _receiver, _served) = mount.serve(&gate, ACK_DEADLINE);
        let request = circa(event("evt_1"));
        let mut senders = JoinSet::new();
        // No more than a quarter of the 256 places: further copies would be refused.
        for _ in 0..60 {
            let request = request.clone();
            senders.spawn(async move { request.send(address).await });
        }
        wait_for(60, &gate.0.authenticated).await;
        gate.0.leave.add_permits(60);
        let mut answers = senders.join_all().await;
        answers.sort_by(|one, other| one.told().cmp(&other.told()));
        let handled = answers.iter().filter(|answer| answer.told() == (200, Some("handled"))).count();
        let duplicates = answers.iter().filter(|answer| answer.told() == (200, Some("duplicate"))).count();
        assert_eq!((handled, duplicates, gate.runs()), (1, 59, 1), "{}", mount.name);
        answers
    })
    .await;
}

/// Contract, section 8: "Retryable error: 500, released. Panic: caught, 500, released, the server
/// lives. Permanent error [...] where no sink is configured: 500 and released".
#[tokio::test]
async fn a_handler_whose_first_run_fails_runs_again_and_is_then_done() {
    let first_runs: [(&str, FirstRun); 3] =
        [("fails", || 500), ("fails for good", || 404), ("panics", || panic!("on purpose"))];
    for (name, first_run) in first_runs {
        alike_on_every_mount(async |mount| {
            let gate = Gate::new(first_run);
            gate.0.leave.add_permits(3);
            let (address, _receiver, _served) = mount.serve(&gate, ACK_DEADLINE);
            let mut answers = Vec::new();
            for (told, runs) in [((500, None), 1), ((200, Some("handled")), 2), ((200, Some("duplicate")), 2)] {
                let answer = circa(event("evt_1")).send(address).await;
                assert_eq!((answer.told(), gate.runs()), (told, runs), "{} {name}", mount.name);
                answers.push(answer);
            }
            assert_eq!(answers[0].body, "internal server error", "{} {name}", mount.name);
            answers
        })
        .await;
    }
}

/// Contract, section 8: "Ack deadline passed: 503 with `Retry-After: 30`; the task runs on [...];
/// when it succeeds the claim is completed, and the sender's next attempt is answered `duplicate`."
#[tokio::test]
async fn a_handler_beyond_the_ack_deadline_runs_on() {
    alike_on_every_mount(async |mount| {
        let gate = Gate::new(succeed);
        let (address, _receiver, _served) = mount.serve(&gate, Duration::from_millis(200));
        let request = circa(event("evt_1"));
        let mut answers = Vec::new();
        // The delivery and its retry are both told to come back; the handler runs once.
        for _ in 0..2 {
            let answer = request.send(address).await;
            assert_eq!((answer.status, answer.header("retry-after")), (503, Some("30")), "{}", mount.name);
            answers.push(answer);
        }
        wait(&gate.0.started).await;
        gate.0.leave.add_permits(1);
        wait(&gate.0.handled).await;
        let next = timeout(PATIENCE, until_not_late(&request, address)).await;
        answers.push(next.expect("the event is marked done, and no machine is late for ever"));
        assert_eq!(answers[2].told(), (200, Some("duplicate")), "{}", mount.name);
        assert_eq!(gate.runs(), 1, "{}", mount.name);
        answers
    })
    .await;
}

/// Contract, section 8: "Shutdown: stop intake with 503, let running handlers end until the drain
/// deadline".
#[tokio::test]
async fn shutdown_waits_for_the_running_handlers_and_refuses_the_rest() {
    alike_on_every_mount(async |mount| {
        let gate = Gate::new(succeed);
        let (address, receiver, _served) = mount.serve(&gate, ACK_DEADLINE);
        let mut running = JoinSet::new();
        for id in ["evt_1", "evt_2", "evt_3"] {
            running.spawn(async move { circa(event(id)).send(address).await });
        }
        wait_for(3, &gate.0.started).await;
        let mut shutdown = pin!(receiver.shutdown());
        assert!(is_pending(&mut shutdown).await, "{}", mount.name);
        let refused = circa(event("evt_4")).send(address).await;
        assert_eq!((refused.status, &*refused.body), (503, "service unavailable"), "{}", mount.name);
        gate.0.leave.add_permits(2);
        wait_for(2, &gate.0.ended).await;
        assert!(is_pending(&mut shutdown).await, "{}: one handler still runs", mount.name);
        gate.0.leave.add_permits(1);
        shutdown.await;
        let mut answers = running.join_all().await;
        assert!(answers.iter().all(|answer| answer.told() == (200, Some("handled"))), "{} {answers:?}", mount.name);
        assert_eq!(gate.runs(), 3, "{}", mount.name);
        answers.push(refused);
        answers
    })
    .await;
}

/// Contract, section 7: "Renewal does not depend on the handler: it runs in a task of its own that
/// a handler which blocks its thread [...] cannot stop (on actix: on another thread)."
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_blocks_its_thread_for_longer_than_the_lease_keeps_its_claim() {
    let _turn = turn::unhurried().await;
    let (second, lease) = (Duration::from_secs(1), Duration::from_secs(3));
    for mount in &MOUNTS {
        let (blocking, other) = (Gate::new(block), Gate::new(succeed));
        blocking.0.leave.add_permits(1);
        other.0.leave.add_permits(1);
        // Two replicas with one store.
        let store = Arc::new(MemoryStore::default());
        let replica = |ack_deadline| circa_receiver().dedup(Arc::clone(&store)).ack_deadline(ack_deadline);
        let (here, _receiver, _served) =
            mount.serve_with(&blocking, replica(second).store_timeout(second / 2).lease(lease));
        let (there, _receiver, _served) = mount.serve_with(&other, replica(3 * lease));
        let first = tokio::spawn(async move { circa(event("evt_1")).send(here).await });
        wait(&blocking.0.ended).await;
        // The copy waits for three leases: were one not renewed, it would be handled here.
        let copy = circa(event("evt_1")).send(there).await;
        assert_eq!((copy.status, other.runs()), (503, 0), "{}", mount.name);
        UNBLOCK.store(true, Ordering::Release);
        wait(&blocking.0.handled).await;
        let again = circa(event("evt_1")).send(there).await;
        assert_eq!((again.told(), other.runs()), ((200, Some("duplicate")), 0), "{}", mount.name);
        // At the ack deadline; on actix-web, where the blocked thread is the one that answers, when
        // the handler has ended.
        assert!([503, 200].contains(&first.await.unwrap().status), "{}", mount.name);
        UNBLOCK.store(false, Ordering::Release);
    }
}

static UNBLOCK: AtomicBool = AtomicBool::new(false);

/// Blocks its thread until the test lets it go.
fn block() -> u16 {
    let begun = Instant::now();
    while !UNBLOCK.load(Ordering::Acquire) {
        assert!(begun.elapsed() < PATIENCE, "the test lets it go");
        thread::sleep(Duration::from_millis(10));
    }
    succeed()
}

/// The sender's attempts until one is answered before the ack deadline, which is so short here that
/// a busy machine may miss it.
async fn until_not_late(request: &Request, address: SocketAddr) -> Answer {
    loop {
        let answer = request.send(address).await;
        if answer.status != 503 {
            return answer;
        }
    }
}

/// Polls once.
async fn is_pending(future: &mut (impl Future + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}
