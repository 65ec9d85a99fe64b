//! Our receiver behind a simulated sender: nothing is lost, and everything is handled once.

use std::{sync::Arc, time::Duration};

use circa_receiver::{
    AnyEvent, HandlerError, PortableHandler, Receiver, Routes, Secret, Secrets,
    adapter::{Head, Reception},
    testing::{Answer, CircaSimulator, CircularoSimulator, Faults, HandlerRuns, SimulatedBody, Target, TokioClock},
};
use http::Request;
use tokio::{task::AbortHandle, time::sleep};

use super::{ASSERTIONS, Always, NEW_SECRET, NOW, PATH, SECRET, behaviour, failure, in_virtual_time, seeds};

/// Ours, as an adapter runs it: the task is spawned, the answer awaited.
struct Ours {
    receivers: Vec<(&'static str, Receiver)>,
    routes: Routes<PortableHandler<(HandlerRuns, &'static str)>>,
    runs: HandlerRuns,
}

struct RequestHead<'r>(&'r http::request::Parts);

impl Head for RequestHead<'_> {
    fn method(&self) -> &str {
        self.0.method.as_str()
    }

    fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }
}

/// A delivery, as an adapter runs it. Its task is told to `spawned`.
pub(super) async fn answered<S: Send + 'static>(
    receiver: &Receiver,
    routes: &Routes<PortableHandler<S>>,
    state: S,
    request: Request<SimulatedBody>,
    spawned: impl FnOnce(AbortHandle),
) -> Answer {
    let (parts, body) = request.into_parts();
    let response = match receiver.receive(&RequestHead(&parts), body, routes).await {
        Reception::Answered(response) => response,
        Reception::Admitted(admitted, handler) => {
            let handler = handler.clone();
            let (task, answer) = admitted.run(move |delivery| handler.call(delivery, state));
            let task = tokio::spawn(task);
            spawned(task.abort_handle());
            answer.wait_for(task).await
        }
    };
    let headers = response.headers().map(|(name, value)| (name, value.as_bytes()));
    Answer::new(response.status(), headers, response.body())
}

impl Target for Ours {
    async fn deliver(&self, request: Request<SimulatedBody>) -> Option<Answer> {
        let path = request.uri().path();
        let (name, receiver) = self.receivers.iter().find(|(name, _)| path.ends_with(name)).unwrap();
        Some(answered(receiver, &self.routes, (self.runs.clone(), *name), request, drop).await)
    }
}

fn ours(seed: u64, clock: TokioClock, runs: &HandlerRuns) -> Ours {
    let handler = move |event: AnyEvent, (runs, endpoint): (HandlerRuns, &'static str)| async move {
        let id = if endpoint == "circa" { event.id().to_owned() } else { format!("{endpoint} {}", event.id()) };
        let run = runs.start(&id);
        let (work, succeeds) = behaviour(seed, &id, runs.started(&id));
        sleep(work).await;
        if !succeeds {
            run.fail();
            return Err(HandlerError::retryable("not this time"));
        }
        run.succeed();
        Ok(())
    };
    let store: Arc<dyn circa_receiver::DedupStore> = Arc::new(circa_receiver::MemoryStore::default().clock(clock));
    let receiver = |name| {
        let secrets = Secrets::new([Secret::new(SECRET).unwrap(), Secret::new(NEW_SECRET).unwrap()]).unwrap();
        Receiver::circa(secrets).endpoint(name).clock(clock).dedup(Arc::clone(&store)).build().unwrap()
    };
    let receivers = vec![("circa", receiver("circa")), ("second", receiver("second"))];
    Ours { receivers, routes: Routes::new().fallback(handler), runs: runs.clone() }
}

/// No fault that a sender or the network makes has an event lost, handled twice, cut off half-way,
/// or the endpoint disabled.
#[test]
fn ours_loses_nothing_and_handles_once_whatever_happens() {
    for seed in seeds(200) {
        in_virtual_time(seed, async {
            let (runs, clock) = (HandlerRuns::default(), TokioClock::starting_at(NOW));
            let simulator = CircaSimulator::new(PATH, SECRET).clock(clock).seed(seed).faults(Faults::all()).count(12);
            let simulator = simulator.endpoint("second", "/webhooks/second", SECRET).rotate_to(NEW_SECRET);
            let ledger = simulator.run(ours(seed, clock, &runs), &runs).await;
            ledger.assert_nothing_lost();
            ledger.assert_once();
            ledger.assert_nothing_cut_off();
            ledger.assert_enabled();
        });
    }
}

/// Eleven events, each sent three times at once, are handled once each.
#[tokio::test(start_paused = true)]
async fn ours_handles_circularos_repeats_once() {
    let runs = HandlerRuns::default();
    let receiver = Receiver::circularo(Secret::new(SECRET).unwrap()).build().unwrap();
    let handler = |event: AnyEvent, (runs, _): (HandlerRuns, &'static str)| async move {
        let run = runs.start(event.id());
        sleep(Duration::from_secs(1)).await;
        run.succeed();
        Ok(())
    };
    let ours =
        Ours { receivers: vec![("circularo", receiver)], routes: Routes::new().fallback(handler), runs: runs.clone() };
    let ledger = CircularoSimulator::new("/webhooks/circularo", SECRET).repeats(2).run(ours, &runs).await;
    ledger.assert_nothing_lost();
    ledger.assert_once();
}

/// An event that its handler buries is not lost, and is buried once.
#[tokio::test(start_paused = true)]
async fn a_buried_event_is_not_lost() {
    let (runs, clock) = (HandlerRuns::default(), TokioClock::starting_at(NOW));
    let handler = |event: AnyEvent, (runs, _): (HandlerRuns, &'static str)| async move {
        runs.start(event.id()).bury();
        Err(HandlerError::permanent("never"))
    };
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).clock(clock).dead_letters(Sink).build().unwrap();
    let routes = Routes::new().fallback(handler);
    let ours = Ours { receivers: vec![("circa", receiver)], routes, runs: runs.clone() };
    let simulator = CircaSimulator::new(PATH, SECRET).clock(clock).seed(1).faults(Faults::all());
    let ledger = simulator.run(ours, &runs).await;
    for (name, assertion) in ASSERTIONS {
        assert_eq!(failure(|| assertion(&ledger)), None, "{name}");
    }
}

struct Sink;

#[circa_receiver::async_trait]
impl circa_receiver::DeadLetterSink for Sink {
    async fn bury(&self, _: circa_receiver::DeadLetter<'_>) -> Result<(), circa_receiver::BoxError> {
        Ok(())
    }
}

/// Receivers whose handlers know nothing of the test, observed.
fn observed(seed: u64, clock: TokioClock, runs: &HandlerRuns, retention: Duration) -> Ours {
    // Counts the runs for the handlers' behaviour alone.
    let tries = HandlerRuns::default();
    let handler = move |event: AnyEvent, (_, endpoint): (HandlerRuns, &'static str)| {
        let id = format!("{endpoint} {}", event.id());
        tries.start(&id).fail();
        let (work, succeeds) = behaviour(seed, &id, tries.started(&id));
        async move {
            sleep(work).await;
            if succeeds { Ok(()) } else { Err(HandlerError::retryable("not this time")) }
        }
    };
    let receiver = |name| {
        let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).endpoint(name).clock(clock);
        (name, receiver.retention(retention).observer(runs.clone()).build().unwrap())
    };
    let receivers = vec![receiver("circa"), receiver("second")];
    Ours { receivers, routes: Routes::new().fallback(handler), runs: HandlerRuns::default() }
}

/// `HandlerRuns` as an observer: the ledger is as good as with handlers that record, at each of two
/// endpoints.
#[tokio::test(start_paused = true)]
async fn an_application_that_records_nothing_is_observed() {
    let day = Duration::from_secs(86_400);
    let mut handled_twice = 0;
    for seed in 0..20 {
        for retention in [3 * day, Duration::from_secs(60)] {
            let (runs, clock) = (HandlerRuns::default(), TokioClock::starting_at(NOW));
            let simulator = CircaSimulator::new(PATH, SECRET).clock(clock).seed(seed).faults(Faults::all());
            let simulator = simulator.endpoint("second", "/webhooks/second", SECRET);
            let ledger = simulator.run(observed(seed, clock, &runs, retention), &runs).await;
            ledger.assert_nothing_lost();
            ledger.assert_enabled();
            if retention > day {
                ledger.assert_once();
                let each = runs.succeeded("circa evt_1") + runs.succeeded("second evt_1");
                assert_eq!((each, runs.succeeded("evt_1")), (2, 2), "seed {seed}");
            } else {
                handled_twice += usize::from(failure(|| ledger.assert_once()).is_some());
            }
        }
    }
    assert!(handled_twice > 5, "a receiver that forgets handles events twice, and the ledger sees it");
}

/// A buried event is seen by the observer too.
#[tokio::test(start_paused = true)]
async fn an_observed_dead_letter_is_not_lost() {
    let (runs, clock) = (HandlerRuns::default(), TokioClock::starting_at(NOW));
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).clock(clock).dead_letters(Sink);
    let receiver = receiver.endpoint("billing").observer(runs.clone()).build().unwrap();
    let handler = async |_: AnyEvent, _: (HandlerRuns, &'static str)| Err(HandlerError::permanent("never"));
    let routes = Routes::new().fallback(handler);
    let ours = Ours { receivers: vec![("circa", receiver)], routes, runs: HandlerRuns::default() };
    let ledger = CircaSimulator::new(PATH, SECRET).clock(clock).seed(1).faults(Faults::all()).run(ours, &runs).await;
    for (name, assertion) in ASSERTIONS {
        assert_eq!(failure(|| assertion(&ledger)), None, "{name}");
    }
    assert_eq!((runs.started("billing evt_1"), runs.succeeded("evt_1")), (1, 0));
}

/// "the same seed gives the same story, or says that it cannot".
#[tokio::test]
async fn in_real_time_a_ledger_says_what_its_seed_repeats() {
    async fn nobody() -> Option<Answer> {
        None
    }

    let runs = HandlerRuns::default();
    let lost = CircaSimulator::new(PATH, SECRET)
        .count(1)
        .seed(1)
        .schedule_divided_by(1_000_000)
        .run(Always(nobody), &runs)
        .await;
    let said = failure(|| lost.assert_nothing_lost()).unwrap();
    assert!(
        said.ends_with(
            ".seed(0x1) repeats the faults, but not the order of events: the schedule was divided, in real time"
        ),
        "{said}"
    );
    let lost = CircularoSimulator::new(PATH, SECRET).run(Always(nobody), &runs).await;
    let said = failure(|| lost.assert_nothing_lost()).unwrap();
    assert!(said.ends_with("handler runs: 0 started, 0 succeeded, 0 failed, 0 buried"), "{said}");
}
