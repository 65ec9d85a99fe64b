//! A request and its task, dropped at every await: nothing is lost, nothing is stuck, nothing is
//! handled by halves and left so.

use std::{
    future::Future,
    panic::resume_unwind,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crate::support::receiving::{
    Body, DUPLICATE, Endpoint, Fault, HANDLED, NOW, Request, SECRET, ScriptedStore, Step, answer, circa, circa_body,
    routes, seconds, settle,
};
use async_trait::async_trait;
use circa_receiver::{
    BoxError, DeadLetter, DeadLetterSink, HandlerError, PortableHandler, Response, Routes, adapter::Reception,
    testing::CircaSigner,
};
use tokio::{sync::oneshot, time::Instant};

/// How the handler's first run ends; the later ones succeed.
#[derive(Clone, Copy, Debug)]
enum First {
    Succeeds,
    Fails,
    Panics,
    /// A permanent error, which goes to a sink.
    IsBuried,
}

/// How often the handler was started, and how often it came to its end.
#[derive(Clone, Default)]
struct Runs {
    started: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    succeeded: Arc<AtomicUsize>,
}

impl Runs {
    /// A handler that can be dropped at several awaits.
    fn routes(&self, first: First) -> Routes<PortableHandler<()>> {
        let runs = self.clone();
        routes(move |_| {
            let runs = runs.clone();
            async move {
                let run = runs.started.fetch_add(1, Ordering::SeqCst);
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
                runs.ended.fetch_add(1, Ordering::SeqCst);
                match (run, first) {
                    (0, First::Fails) => return Err("the database is away".into()),
                    (0, First::Panics) => panic!("on purpose"),
                    (0, First::IsBuried) => return Err(HandlerError::permanent("no such material")),
                    _ => {}
                }
                runs.succeeded.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        })
    }

    fn started(&self) -> usize {
        self.started.load(Ordering::SeqCst)
    }

    fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    fn succeeded(&self) -> usize {
        self.succeeded.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<AtomicUsize>);

#[async_trait]
impl DeadLetterSink for Sink {
    async fn bury(&self, _: DeadLetter<'_>) -> Result<(), BoxError> {
        tokio::task::yield_now().await;
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// An endpoint with one place, whose store and handler can be dropped at every operation.
fn endpoint(first: First) -> (Endpoint, Runs, Sink) {
    let store = ScriptedStore::memory();
    for operation in ["claim", "renew", "complete", "release"] {
        store.script(operation, Fault::Yield, usize::MAX);
    }
    let (runs, sink) = (Runs::default(), Sink::default());
    let builder = circa().max_in_flight(1).dedup(store).dead_letters(sink.clone());
    (Endpoint::new(builder, runs.routes(first)), runs, sink)
}

/// A body in three parts, between which a request can be dropped.
fn body() -> Body {
    let body = circa_body("evt_1");
    let (first, rest) = body.split_at(10);
    let chunk = |part: &str| Step::Chunk(part.to_owned().into());
    Body::new([Step::Yield, chunk(first), Step::Yield, chunk(rest), Step::Yield])
}

type Shared<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A future that is polled so many times at most, and then dropped: `None`.
struct Polls<T> {
    future: Option<Shared<T>>,
    left: usize,
}

impl<T> Future for Polls<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { future, left } = &mut *self;
        let polled = future.as_mut().filter(|_| *left > 0).map(|future| future.as_mut().poll(cx));
        match polled {
            Some(Poll::Ready(value)) => {
                *future = None;
                Poll::Ready(Some(value))
            }
            Some(Poll::Pending) if *left > 1 => {
                *left -= 1;
                Poll::Pending
            }
            // Dropped right after its last poll, as by a connection that breaks.
            Some(Poll::Pending) | None => {
                *future = None;
                Poll::Ready(None)
            }
        }
    }
}

fn polls<T>(left: usize, future: impl Future<Output = T> + Send + 'static) -> Polls<T> {
    Polls { future: Some(Box::pin(future)), left }
}

/// The same event, signed for as long after `start` as it is now.
fn again(start: Instant) -> Request {
    let at = NOW + i64::try_from(start.elapsed().as_secs()).unwrap();
    Request::circa("evt_1").resigned(&CircaSigner::new(SECRET), at)
}

/// What must hold after a delivery was dropped: a fresh one of the same event is answered 200, and
/// what was half done is done again.
async fn recovers(endpoint: &Endpoint, runs: &Runs, sink: &Sink, start: Instant, lapses: bool, case: &str) {
    settle().await;
    if lapses {
        // At the latest when the lease has lapsed, which nobody renews any more.
        tokio::time::sleep(seconds(61)).await;
    }
    // The first attempt may find a run in progress that fails; the sender comes back once more.
    let mut response = endpoint.deliver(&again(start)).await;
    if response.status() == 500 {
        response = endpoint.deliver(&again(start)).await;
    }
    assert_eq!(response.status(), 200, "{case}: {response:?}");
    let done = runs.succeeded() + sink.0.load(Ordering::SeqCst);
    assert!(done >= 1, "{case}: answered 200, and never handled");
    assert_eq!(answer(&endpoint.deliver(&again(start)).await), DUPLICATE, "{case}: not done in the end");
    // The one place is back, or the deliveries above were refused; no run is left behind either.
    let down = Instant::now();
    endpoint.receiver.shutdown().await;
    assert_eq!(down.elapsed(), Duration::ZERO, "{case}: a run is left behind");
}

/// Contract, section 8: neither a sender that hangs up nor a dropped request future stops a handler
/// half-way.
#[tokio::test(start_paused = true)]
async fn a_request_dropped_after_any_number_of_polls_harms_nothing() {
    for first in [First::Succeeds, First::Fails, First::Panics, First::IsBuried] {
        let mut completed = false;
        let mut count = 0;
        while !completed {
            let case = format!("{first:?}, the request dropped after {count} polls");
            let (endpoint, runs, sink) = endpoint(first);
            let start = Instant::now();
            let request = {
                let endpoint = endpoint.clone();
                async move { endpoint.deliver_with(&Request::circa("evt_1"), body()).await }
            };
            completed = polls(count, request).await.is_some();
            let begun = runs.started();
            settle().await;
            assert_eq!(runs.started(), runs.ended(), "{case}: a handler was stopped half-way");
            assert!(runs.started() >= begun, "{case}");
            recovers(&endpoint, &runs, &sink, start, false, &case).await;
            let expected = match first {
                First::Succeeds | First::IsBuried => 1,
                First::Fails | First::Panics => 2,
            };
            assert_eq!(runs.started(), expected, "{case}: runs");
            assert_eq!(start.elapsed(), Duration::ZERO, "{case}: somebody had to wait");
            count += 1;
        }
        assert!(count >= 4, "{first:?}: {count} polls");
    }
}

/// As above, for a task that is dropped: with its runtime, or by an adapter that stops it.
/// Contract, section 7: every other end (error, panic, timeout, cancelled, shutdown) releases, or
/// lets the lease lapse.
#[tokio::test(start_paused = true)]
async fn a_task_dropped_after_any_number_of_polls_harms_nothing() {
    for first in [First::Succeeds, First::Fails, First::Panics, First::IsBuried] {
        let mut completed = false;
        let mut count = 0;
        while !completed {
            let case = format!("{first:?}, the task dropped after {count} polls");
            let (endpoint, runs, sink) = endpoint(first);
            let start = Instant::now();
            let (response, ended) = deliver_with_task_dropped(&endpoint, count).await;
            completed = ended;
            if !completed {
                assert_eq!(response.status(), 500, "{case}: never 2xx for a run that did not end");
            }
            recovers(&endpoint, &runs, &sink, start, !completed, &case).await;
            count += 1;
        }
        assert!(count > 6, "{first:?}: {count} polls");
    }
}

/// Delivers as an adapter does, but drops the task after so many polls. Also whether it had ended.
async fn deliver_with_task_dropped(endpoint: &Endpoint, count: usize) -> (Response, bool) {
    let request = Request::circa("evt_1");
    let head = (request.method, &request.headers[..]);
    let Reception::Admitted(admitted, handler) = endpoint.receiver.receive(&head, body(), &endpoint.routes).await
    else {
        panic!("not admitted")
    };
    let handler = handler.clone();
    let (task, answer) = admitted.run(move |delivery| handler.call(delivery, ()));
    let (sender, ended) = oneshot::channel();
    let task = tokio::spawn(async move {
        let outcome = polls(count, task).await;
        sender.send(outcome.is_some()).unwrap();
        outcome.unwrap_or_else(|| resume_unwind(Box::new("without an outcome, and without a word")))
    });
    (answer.wait_for(task).await, ended.await.unwrap())
}

/// A claim that was won and not settled is released in the background: its event need not wait for
/// the lease to lapse.
#[tokio::test(start_paused = true)]
async fn a_task_dropped_while_the_handler_runs_releases_its_claim() {
    let mut stopped = 0;
    for count in 1..20 {
        let (endpoint, runs, _) = endpoint(First::Succeeds);
        let start = Instant::now();
        let (_, ended) = deliver_with_task_dropped(&endpoint, count).await;
        if ended || runs.started() == 0 || runs.ended() == 1 {
            continue;
        }
        stopped += 1;
        settle().await;
        assert_eq!(answer(&endpoint.deliver(&again(start)).await), HANDLED, "after {count} polls");
        assert_eq!(start.elapsed(), Duration::ZERO, "after {count} polls: the lease was waited for");
        assert_eq!((runs.started(), runs.ended()), (2, 1), "after {count} polls");
    }
    assert!(stopped >= 3, "{stopped}");
}

/// Another delivery that waits for a run whose task is dropped takes over.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_task_that_is_dropped_takes_over() {
    let mut stopped = 0;
    for count in 0..20 {
        let store = ScriptedStore::memory();
        for operation in ["claim", "complete", "release"] {
            store.script(operation, Fault::Yield, usize::MAX);
        }
        let runs = Runs::default();
        let endpoint = Endpoint::new(circa().dedup(store), runs.routes(First::Succeeds));
        let start = Instant::now();
        let request = Request::circa("evt_1");
        // It comes when the first has its claim, and its handler runs.
        let later = Body::new([vec![Step::Yield; 6], vec![Step::Chunk(request.body.clone())]].concat());
        let (first, second) =
            tokio::join!(deliver_with_task_dropped(&endpoint, count), endpoint.deliver_with(&request, later));
        let (first, second) = (first.0.status(), second.status());
        assert!(first == 200 || first == 500, "after {count} polls: {first}");
        // A task that was dropped in the middle of a call to the store leaves its claim to the
        // lease, beyond the ack deadline.
        assert!(second == 200 || second == 503, "after {count} polls: {second}");
        if runs.started() > runs.ended() {
            stopped += 1;
            assert_eq!(
                second, 200,
                "after {count} polls: who waited for a handler that was dropped half-way runs it at once"
            );
        }
        tokio::time::sleep(seconds(61)).await;
        assert_eq!(endpoint.deliver(&again(start)).await.status(), 200, "after {count} polls");
        assert!(runs.succeeded() >= 1, "after {count} polls");
    }
    assert!(stopped >= 3, "{stopped}");
}

/// The whole runtime is dropped in the middle, as at the end of a process: nothing panics, though
/// nobody can release the claim.
#[test]
fn a_runtime_dropped_in_the_middle_harms_nothing() {
    let mut stopped = 0;
    for count in 0..20 {
        let (endpoint, runs, _) = endpoint(First::Succeeds);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let task = runtime.block_on(async {
            let request = Request::circa("evt_1");
            let head = (request.method, &request.headers[..]);
            let reception = endpoint.receiver.receive(&head, body(), &endpoint.routes).await;
            let Reception::Admitted(admitted, handler) = reception else { panic!("not admitted") };
            let handler = handler.clone();
            let (task, _) = admitted.run(move |delivery| handler.call(delivery, ()));
            let mut task = Box::pin(task);
            let mut polls = 0;
            // Polled so many times, and kept.
            std::future::poll_fn(|cx| {
                if polls == count || task.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                polls += 1;
                Poll::Pending
            })
            .await;
            (polls == count).then_some(task)
        });
        drop(runtime);
        stopped += usize::from(task.is_some());
        drop(task);
        assert!(runs.started() <= 1, "after {count} polls");
    }
    assert!(stopped > 6, "{stopped}");
}
