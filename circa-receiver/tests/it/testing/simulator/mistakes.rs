//! Receivers with one mistake each, and which assertion catches it.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    time::Duration,
};

use bytes::Bytes;
use circa_receiver::{
    Rejection, Secret, Verifier,
    testing::{Answer, CircaSimulator, Faults, HandlerRuns, Ledger, SimulatedBody, Target, TokioClock, unix_time},
};
use futures_core::Stream;
use http::Request;
use tokio::time::{Instant, sleep};

use super::{ASSERTIONS, NOW, PATH, SECRET, behaviour, failure};

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
        let event = match self.verifier.verify(signature, body, unix_time(self.clock.unix_seconds().unwrap())) {
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

/// Every mistake is caught by its assertion, within a few seeds, and the failure tells the story
/// and the seed that repeats it.
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

/// Without a mistake the simplest receiver passes: the assertions catch the mistakes, not the way
/// it is written.
#[test]
fn the_simplest_receiver_without_a_mistake_passes() {
    for seed in 0..40 {
        let ledger = simulate(Mistake::None, Faults::all(), seed);
        for (name, assertion) in ASSERTIONS {
            assert_eq!(failure(|| assertion(&ledger)), None, "{name}, seed {seed}");
        }
    }
}
