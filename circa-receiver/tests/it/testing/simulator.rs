//! The simulated senders: they keep the documented schedule to the second, catch what broken receivers do, and find nothing wrong with ours.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    future::{Future, pending, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use circa_receiver::{
    AnyEvent, HandlerError, Head, PortableHandler, Receiver, Reception, Rejection, Routes, Secret, Secrets, Verifier,
    testing::{
        Answer, CircaSimulator, CircularoSimulator, Disabling, Faults, HandlerRuns, Ledger, SimulatedBody, Target,
        TokioClock,
    },
};
use futures_core::Stream;
use http::Request;
use tokio::time::{Instant, sleep};

const PATH: &str = "/webhooks/circa";
const SECRET: &str = "whsec_test_0123456789abcdef";
const NEW_SECRET: &str = "whsec_next_0123456789abcdef";
const NOW: i64 = 1_747_000_800;

fn simulator() -> CircaSimulator {
    CircaSimulator::new(PATH, SECRET).clock(TokioClock::starting_at(NOW)).seed(1)
}

fn seconds(seconds: &[u64]) -> Vec<Duration> {
    seconds.iter().copied().map(Duration::from_secs).collect()
}

/// Answers everything in one way.
struct Always<F>(F);

impl<F: Fn() -> Fut, Fut: Future<Output = Option<Answer>>> Target for Always<F> {
    fn deliver(&self, _: Request<SimulatedBody>) -> impl Future<Output = Option<Answer>> {
        (self.0)()
    }
}

/// Circa documentation, Webhooks: retries after 30 s, 2 m, 10 m, 1 h, 6 h, 24 h, then dropped: 7 attempts over 112,350 s.
#[tokio::test(start_paused = true)]
async fn failures_are_retried_on_the_documented_schedule() {
    let runs = HandlerRuns::default();
    let refuses = Always(|| async { Some(Answer::new(500, [], "")) });
    let ledger = simulator().count(1).run(refuses, &runs).await;
    assert_eq!(ledger.attempted_at("evt_0"), seconds(&[0, 30, 150, 750, 4_350, 25_950, 112_350]));
    assert!(ledger.was_dropped("evt_0") && !ledger.was_disabled());

    let accepts = Always(|| async { Some(Answer::new(204, [], "")) });
    let ledger = simulator().count(1).run(accepts, &runs).await;
    assert_eq!(ledger.attempted_at("evt_0"), seconds(&[0]));
}

/// Circa documentation, Webhooks: answer 2xx within 15 s.
#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_15_seconds() {
    let runs = HandlerRuns::default();
    let silent = simulator().count(1).run(Always(pending), &runs).await;
    assert_eq!(silent.attempted_at("evt_0"), seconds(&[0, 45, 180, 795, 4_410, 26_025, 112_440]));
    for (millis, attempts) in [(14_999, 1), (15_001, 7)] {
        let slow = Always(|| async move {
            sleep(Duration::from_millis(millis)).await;
            Some(Answer::new(200, [], ""))
        });
        assert_eq!(simulator().count(1).run(slow, &runs).await.attempts("evt_0"), attempts, "{millis} ms");
    }
}

/// Circa documentation, Webhooks: after 20 failures in a row the endpoint is disabled.
#[tokio::test(start_paused = true)]
async fn twenty_failures_in_a_row_disable_the_endpoint() {
    let refuses = || Always(|| async { Some(Answer::new(500, [], "")) });
    let cases = [
        (Disabling::Attempts, 2, false),
        (Disabling::Attempts, 3, true),
        (Disabling::Events, 19, false),
        (Disabling::Events, 20, true),
    ];
    for (disabling, events, disabled) in cases {
        let ledger = simulator().count(events).disabling(disabling).run(refuses(), &HandlerRuns::default()).await;
        assert_eq!(ledger.was_disabled(), disabled, "{disabling:?}, {events} events");
        let attempts: usize = (0..events).map(|n| ledger.attempts(&format!("evt_{n}"))).sum();
        let expected = match (disabling, disabled) {
            (Disabling::Attempts, true) => 20,
            (Disabling::Events, true) => 20,
            (_, _) => 7 * events,
        };
        assert_eq!(attempts, expected, "{disabling:?}, {events} events");
    }

    // A success in between begins the count anew.
    let answers = RefCell::new(0);
    let now_and_then = Always(|| {
        *answers.borrow_mut() += 1;
        let status = if *answers.borrow() % 20 == 0 { 200 } else { 500 };
        async move { Some(Answer::new(status, [], "")) }
    });
    let ledger = simulator().count(10).run(now_and_then, &HandlerRuns::default()).await;
    assert!(!ledger.was_disabled());
}

#[tokio::test]
#[should_panic(expected = "tokio's time is not paused")]
async fn a_schedule_of_32_hours_is_not_begun_in_real_time() {
    let _ = simulator().run(Always(pending), &HandlerRuns::default()).await;
}

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

impl Target for Ours {
    async fn deliver(&self, request: Request<SimulatedBody>) -> Option<Answer> {
        let (parts, body) = request.into_parts();
        let (name, receiver) = self.receivers.iter().find(|(name, _)| parts.uri.path().ends_with(name)).unwrap();
        let response = match receiver.receive(&RequestHead(&parts), body, &self.routes).await {
            Reception::Answered(response) => response,
            Reception::Admitted(admitted, handler) => {
                let (handler, state) = (handler.clone(), (self.runs.clone(), *name));
                let (task, answer) = admitted.run(move |delivery| handler.call(delivery.event().clone(), state));
                answer.wait_for(tokio::spawn(task)).await
            }
        };
        let headers = response.headers().map(|(name, value)| (name, value.as_bytes()));
        Some(Answer::new(response.status(), headers, response.body()))
    }
}

/// How a handler behaves on its `n`th run of an event: how long it works, and whether it succeeds. By chance, but the same for a seed.
fn behaviour(seed: u64, event_id: &str, run: usize) -> (Duration, bool) {
    let mut mixed = seed ^ 0x5851_f42d_4c95_7f2d;
    for byte in event_id.bytes().chain([run as u8]) {
        mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }
    let millis = if mixed % 11 == 0 { 9_000 + mixed / 11 % 6_000 } else { mixed / 11 % 300 };
    (Duration::from_millis(millis), run > 2 || mixed / 7 % 5 > 1)
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
        Receiver::circa(secrets).endpoint(name).clock(clock).shared_dedup(Arc::clone(&store)).build().unwrap()
    };
    let receivers = vec![("circa", receiver("circa")), ("second", receiver("second"))];
    Ours { receivers, routes: Routes::new().fallback(handler), runs: runs.clone() }
}

/// No fault that a sender or the network makes has an event lost, handled twice, cut off half-way, or the endpoint disabled.
#[test]
fn ours_loses_nothing_and_handles_once_whatever_happens() {
    let seeds = std::env::var("SEEDS").map_or(200, |seeds| seeds.parse().expect("SEEDS is a number"));
    for seed in 0..seeds {
        // A runtime of its own each: virtual time starts anew, and a seed means the same wherever it is repeated.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
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

/// What receivers written in an afternoon get wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    None,
    MarksBeforeItHandles,
    NeverReleasesAfterAnError,
    DedupsOnTheUnsignedHeader,
    RemembersFiveMinutes,
    Answers200WhileRunning,
    DropsTheHandlerOnHangUp,
    TreatsAStaleRetryAsFatal,
}

/// A receiver of the simplest kind, with one mistake.
struct Simple {
    mistake: Mistake,
    verifier: Verifier,
    clock: TokioClock,
    runs: HandlerRuns,
    seed: u64,
    book: Rc<RefCell<Book>>,
}

#[derive(Default)]
struct Book {
    running: HashSet<String>,
    done: HashMap<String, Instant>,
}

impl Target for Simple {
    async fn deliver(&self, request: Request<SimulatedBody>) -> Option<Answer> {
        let status = self.receive(request).await;
        Some(Answer::new(status, [], ""))
    }
}

impl Simple {
    async fn receive(&self, request: Request<SimulatedBody>) -> u16 {
        use circa_receiver::Clock;
        let (parts, body) = request.into_parts();
        let body = collect(body).await;
        let headers = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        // Only the signature: a receiver of this kind does not compare the unsigned headers.
        let signature = headers.filter(|(name, _)| *name == "circa-signature");
        let event = match self.verifier.verify(signature, body, self.clock.unix_seconds().unwrap()) {
            Ok(verified) => verified.event().unwrap(),
            Err(Rejection::Stale { .. }) if self.mistake == Mistake::TreatsAStaleRetryAsFatal => return 200,
            Err(_) => return 401,
        };
        let id = match self.mistake {
            Mistake::DedupsOnTheUnsignedHeader => parts.headers["circa-event-id"].to_str().unwrap().to_owned(),
            _ => event.id().to_owned(),
        };
        let memory = if self.mistake == Mistake::RemembersFiveMinutes { 300 } else { u64::MAX };
        {
            let mut book = self.book.borrow_mut();
            if book.done.get(&id).is_some_and(|done| done.elapsed().as_secs() < memory) {
                return 200;
            }
            if !book.running.insert(id.clone()) {
                return if self.mistake == Mistake::Answers200WhileRunning { 200 } else { 503 };
            }
            if self.mistake == Mistake::MarksBeforeItHandles {
                book.done.insert(id.clone(), Instant::now());
            }
        }
        let handling = handle(self.seed, self.runs.clone(), event.id().to_owned());
        let settle = Settle { mistake: self.mistake, book: Rc::clone(&self.book), id };
        if self.mistake == Mistake::DropsTheHandlerOnHangUp {
            return settle.end(handling.await);
        }
        let task = tokio::spawn(handling);
        // The settling goes on after a hang-up too.
        let settled = tokio::task::spawn_local(async move { settle.end(task.await.unwrap()) });
        settled.await.unwrap()
    }
}

async fn handle(seed: u64, runs: HandlerRuns, id: String) -> bool {
    let run = runs.start(&id);
    let (work, succeeds) = behaviour(seed, &id, runs.started(&id));
    sleep(work.min(Duration::from_secs(8))).await;
    if succeeds {
        run.succeed()
    } else {
        run.fail()
    }
    succeeds
}

/// Releases on drop, as a careful author would write it.
struct Settle {
    mistake: Mistake,
    book: Rc<RefCell<Book>>,
    id: String,
}

impl Settle {
    fn end(self, succeeded: bool) -> u16 {
        if succeeded {
            self.book.borrow_mut().done.insert(self.id.clone(), Instant::now());
        } else if self.mistake == Mistake::NeverReleasesAfterAnError {
            std::mem::forget(self);
            return 500;
        }
        if succeeded { 200 } else { 500 }
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        self.book.borrow_mut().running.remove(&self.id);
    }
}

async fn collect(body: SimulatedBody) -> Bytes {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes.into()
}

fn simulate(mistake: Mistake, faults: Faults, seed: u64) -> Ledger {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (runs, clock) = (HandlerRuns::default(), TokioClock::starting_at(NOW));
        let verifier = Verifier::circa(Secret::new(SECRET).unwrap());
        let book = Rc::default();
        let simple = Simple { mistake, verifier, clock, runs: runs.clone(), seed, book };
        let simulator = CircaSimulator::new(PATH, SECRET).clock(clock).seed(seed).faults(faults).count(12);
        simulator.run(simple, &runs).await
    })
}

/// What an assertion said when it failed.
fn failure(assertion: impl FnOnce()) -> Option<String> {
    let said = catch_unwind(AssertUnwindSafe(assertion)).err()?;
    Some(said.downcast_ref::<String>().cloned().unwrap_or_default())
}

type Assertion = (&'static str, fn(&Ledger));

const ASSERTIONS: [Assertion; 4] = [
    ("assert_nothing_lost", Ledger::assert_nothing_lost),
    ("assert_once", Ledger::assert_once),
    ("assert_nothing_cut_off", Ledger::assert_nothing_cut_off),
    ("assert_enabled", Ledger::assert_enabled),
];

/// Every mistake is caught by its assertion, within a few seeds, and the failure tells the story and the seed that repeats it.
#[test]
fn mistakes_are_caught_by_the_right_assertion() {
    let cases = [
        (Mistake::MarksBeforeItHandles, Faults::none(), "assert_nothing_lost"),
        (Mistake::NeverReleasesAfterAnError, Faults::none(), "assert_nothing_lost"),
        (Mistake::DedupsOnTheUnsignedHeader, Faults::none().altered_headers().answers_lost(), "assert_once"),
        (Mistake::RemembersFiveMinutes, Faults::none().answers_lost(), "assert_once"),
        (Mistake::Answers200WhileRunning, Faults::none().twice_at_once(), "assert_nothing_lost"),
        (Mistake::DropsTheHandlerOnHangUp, Faults::none().hang_ups(), "assert_nothing_cut_off"),
        (Mistake::TreatsAStaleRetryAsFatal, Faults::none().old_signatures().clock_skew(), "assert_nothing_lost"),
    ];
    for (mistake, faults, right) in cases {
        let (_, assertion) = ASSERTIONS.into_iter().find(|(name, _)| *name == right).unwrap();
        let caught = (0..40).find_map(|seed| {
            let ledger = simulate(mistake, faults, seed);
            failure(|| assertion(&ledger)).map(|said| (seed, said))
        });
        let Some((seed, said)) = caught else { panic!("{mistake:?} was not caught by {right}") };
        assert!(
            said.contains(&format!("repeat with .seed({seed:#x})")) && said.contains("handler runs: "),
            "{mistake:?}: {said}"
        );
        // The same seed tells the same story.
        assert_eq!(failure(|| assertion(&simulate(mistake, faults, seed))), Some(said), "{mistake:?}");
    }
}

/// Without a mistake the simplest receiver passes: the assertions catch the mistakes, not the way it is written.
#[test]
fn the_simplest_receiver_without_a_mistake_passes() {
    for seed in 0..40 {
        let ledger = simulate(Mistake::None, Faults::all(), seed);
        for (name, assertion) in ASSERTIONS {
            assert_eq!(failure(|| assertion(&ledger)), None, "{name}, seed {seed}");
        }
    }
}

/// An endpoint that was disabled is told by its assertion.
#[tokio::test(start_paused = true)]
async fn a_disabled_endpoint_is_told() {
    let refuses = Always(|| async { Some(Answer::new(500, [], "")) });
    let ledger = simulator().run(refuses, &HandlerRuns::default()).await;
    let said = failure(|| ledger.assert_enabled()).unwrap();
    assert!(said.contains("/webhooks/circa was disabled") && said.contains("500"), "{said}");
}

/// The types are what tests in any crate can hold.
#[test]
fn the_simulators_are_debug() {
    let _keep: (Pin<Box<SimulatedBody>>, Mutex<()>) = (Box::pin(SimulatedBody::whole("")), Mutex::new(()));
    assert!(format!("{:?}", simulator()).contains("seed"));
    assert!(format!("{:?}", CircularoSimulator::new("/", SECRET)).contains("path"));
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
