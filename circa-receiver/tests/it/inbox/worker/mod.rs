//! The worker: what it makes of an inbox: contract, section 8a.

mod attempts;
mod keeping;
mod leases;
mod measuring;
mod outage;
mod policies;
mod settings;
mod stopping;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use circa_receiver::{AnyEvent, HandlerError, Sender, Worker};
use tokio::time::Instant;

use super::support::Bench;
use crate::support::receiving::{
    ACCEPTED, DUPLICATE, Endpoint, Gate, HANDLED, Request, ScriptedInbox, circa, routes, seconds, settle,
};

/// When each run began.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<Vec<Instant>>>);

impl Runs {
    fn note(&self) -> usize {
        let mut runs = self.0.lock().unwrap();
        runs.push(Instant::now());
        runs.len()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn gaps(&self) -> Vec<Duration> {
        self.0.lock().unwrap().windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

/// A bench whose handler is told the number of the run, from 1.
fn running<F>(runs: &Runs, handler: F) -> Bench
where
    F: Fn(usize) -> Result<(), HandlerError> + Clone + Send + Sync + 'static,
{
    let runs = runs.clone();
    Bench::new(move |_: AnyEvent| {
        let (runs, handler) = (runs.clone(), handler.clone());
        async move { handler(runs.note()) }
    })
}

/// A handler that takes longer than a sender waits.
#[tokio::test(start_paused = true)]
async fn the_sender_is_answered_at_once_and_the_handler_runs_once() {
    let runs = Runs::default();
    let noted = runs.clone();
    let bench = Bench::new(move |_| {
        let runs = noted.clone();
        async move {
            runs.note();
            tokio::time::sleep(seconds(20)).await;
            Ok(())
        }
    });
    let worker = bench.start();
    let started = Instant::now();
    assert_eq!(bench.deliver("evt_1").await, ACCEPTED);
    assert_eq!(started.elapsed(), Duration::ZERO, "the sender waited");
    assert_eq!(bench.deliver("evt_1").await, DUPLICATE);
    tokio::time::sleep(seconds(21)).await;
    assert_eq!((runs.count(), bench.endpoint.notes.count("handled")), (1, 1));
    assert_eq!(bench.deliver("evt_1").await, DUPLICATE);
    tokio::time::sleep(seconds(600)).await;
    assert_eq!(runs.count(), 1);
    bench.endpoint.receiver.shutdown().await;
    worker.await.unwrap();
}

/// An idle worker starts what this process accepts at once, and what another one accepts within 300
/// ms.
#[tokio::test(start_paused = true)]
async fn an_idle_worker_is_woken_and_looks_by_itself() {
    let gate = Gate::closed();
    let here = Bench::with_routes(gate.routes());
    let there = here.in_another_process(gate.routes());
    let _worker = here.start();
    tokio::time::sleep(Duration::from_millis(1_234)).await;
    for (name, bench, limit) in [("here", &here, Duration::ZERO), ("there", &there, Duration::from_millis(300))] {
        let accepted = Instant::now();
        assert_eq!(bench.deliver(name).await, ACCEPTED, "{name}");
        gate.arrival().await;
        assert!(accepted.elapsed() <= limit, "{name}: {:?}", accepted.elapsed());
    }
}

/// Contract, section 8a: with `answer_when_handled` a delivery waits for its run, at most until the
/// ack deadline.
#[tokio::test(start_paused = true)]
async fn a_delivery_may_wait_for_its_run() {
    for (name, takes, fails, answer, after) in [
        ("at once", 0, false, HANDLED, 0),
        ("within the ack deadline", 9, false, HANDLED, 9),
        ("later", 11, false, ACCEPTED, 10),
        ("a failure", 3, true, ACCEPTED, 3),
    ] {
        let bench = Bench::answering_when_handled(routes(move |_| async move {
            tokio::time::sleep(seconds(takes)).await;
            if fails { Err("away".into()) } else { Ok(()) }
        }));
        let _worker = bench.start();
        settle().await;
        let delivered = Instant::now();
        assert_eq!(bench.deliver("evt_1").await, answer, "{name}");
        assert_eq!(delivered.elapsed().as_secs(), after, "{name}");
        assert_eq!(bench.deliver("evt_1").await, DUPLICATE, "{name}");
    }
}

/// How many handlers run at once is bounded; the rest stays in the inbox for others.
#[tokio::test(start_paused = true)]
async fn no_more_handlers_run_than_the_worker_may() {
    let gate = Gate::closed();
    let bench = Bench::with_routes(gate.routes());
    let _worker = tokio::spawn(bench.builder().concurrency(3).build().unwrap().run());
    for event in 0..10 {
        assert_eq!(bench.deliver(&format!("evt_{event}")).await, ACCEPTED);
    }
    settle().await;
    assert_eq!((gate.started(), bench.stats().await.ready), (3, 7));
    gate.let_go(1);
    settle().await;
    assert_eq!((gate.started(), gate.ended()), (4, 1));
    gate.let_go(100);
    settle().await;
    assert_eq!((gate.started(), gate.ended()), (10, 10));
}

/// An endpoint with many events does not keep another one waiting.
#[tokio::test(start_paused = true)]
async fn each_endpoint_comes_first_in_its_turn() {
    let (inbox, ran) = (ScriptedInbox::new(), Arc::<Mutex<Vec<String>>>::default());
    let handlers = || {
        let ran = Arc::clone(&ran);
        routes(move |event| {
            ran.lock().unwrap().push(event.id().to_owned());
            async { Ok(()) }
        })
    };
    for (name, events) in [("busy", 10), ("quiet", 1)] {
        let endpoint = Endpoint::new(circa().endpoint(name).inbox(inbox.clone()), handlers());
        for event in 0..events {
            assert_eq!(endpoint.deliver(&Request::circa(&format!("evt_{name}_{event}"))).await.status(), 202);
        }
    }
    let worker = Worker::builder(inbox).endpoint("busy", Sender::CIRCA, handlers(), ());
    let worker = worker.endpoint("quiet", Sender::CIRCA, handlers(), ()).concurrency(1).build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 11);
    assert_eq!(ran.lock().unwrap()[1], "evt_quiet_0");
}

/// What is drained in a test: all that is due, and nothing that waits.
#[tokio::test(start_paused = true)]
async fn a_drained_inbox_has_nothing_that_is_due() {
    let runs = Runs::default();
    let bench = running(&runs, |run| if run == 1 { Err("away".into()) } else { Ok(()) });
    for event in 0..40 {
        bench.deliver(&format!("evt_{event}")).await;
    }
    let worker = bench.worker();
    let drained = worker.drain().await.unwrap();
    let stats = bench.stats().await;
    // The one that failed waits for its backoff, unless that was drawn as nothing.
    assert_eq!((drained, stats.ready, stats.running), (runs.count(), 0, 0));
    tokio::time::sleep(seconds(10)).await;
    worker.drain().await.unwrap();
    assert_eq!((runs.count(), bench.stats().await.waiting), (41, 0));
}

/// A receiver's events have one type table; what a worker has no handler for stays in the inbox.
#[tokio::test(start_paused = true)]
async fn a_worker_leaves_what_it_has_no_handler_for() {
    let runs = Runs::default();
    let bench = running(&runs, |_| Ok(()));
    bench.deliver("evt_1").await;
    let other = circa_receiver::Routes::new().on_type("other.type", |_: AnyEvent, (): ()| async { Ok(()) });
    let worker = bench.endpoint.receiver.worker(other, ()).unwrap().build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 0);
    assert_eq!(bench.worker().drain().await.unwrap(), 1);
}

/// What a handler is given is what was verified.
#[tokio::test(start_paused = true)]
async fn a_handler_gets_the_event_as_it_was_verified() {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&told);
    let bench = Bench::with_routes(routes(move |event| {
        let secret = event.secret().map(ToString::to_string);
        let line = format!("{} {} {:?} {secret:?}", event.id(), event.event_type(), event.signed_at());
        noted.lock().unwrap().push(format!("{line} {:?} {}", event.webhook_id(), event.livemode().unwrap()));
        async { Ok(()) }
    }));
    let request = crate::support::receiving::Request::circa("evt_1").header("Circa-Webhook-Id", "wh_\u{1}7");
    let _ = bench.endpoint.deliver(&request).await;
    assert_eq!(bench.worker().drain().await.unwrap(), 1);
    let expected = r##"evt_1 webhook.test Some(1747000800) Some("#0") Some("wh_\\u{1}7") false"##;
    assert_eq!(*told.lock().unwrap(), [expected]);
}
