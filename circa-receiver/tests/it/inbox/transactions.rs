//! Completing and accepting in transactions of the user's, on every engine: contract, section 8a.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};

use circa_receiver::{
    AnyEvent, Completion, CompletionError, Delivery, HandlerError, Observer, PortableHandler, Routes, Sender,
    StoreOperation, Worker, WorkerBuilder, async_trait,
    dedup::{Nonce, Token},
    inbox::{AcceptRequest, Accepted, Change, Entry, Filter, Inbox, Interest, LeaseRequest, Leased, Settlement, Stats},
};
use tokio::sync::Semaphore;

use crate::support::receiving::{Endpoint, FAILED, Notes, Request, answer, circa, circa_body};

const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(600);
const COMPLETE: Settlement = Settlement::Complete { retention: RETENTION };

/// How a handler ends its transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Commit,
    RollBack,
}

/// An engine's inbox, and beside it a table of the handler's own.
#[async_trait]
pub(super) trait Books: Send + Sync + 'static {
    fn inbox(&self) -> Arc<dyn Inbox>;

    /// Books an event and completes its run, in one transaction. An error rolls it back.
    async fn book(&self, event: &str, completion: &Completion, end: End) -> Result<(), CompletionError>;

    /// Books an event and accepts it, in one transaction.
    async fn accept(&self, event: &str, request: &AcceptRequest, end: End) -> Accepted;

    /// The events that are booked, with repetitions.
    async fn booked(&self) -> Vec<String>;
}

/// Makes a test of every row, for books that a function makes.
macro_rules! transaction_tests {
    ($books:path: $($row:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $row() {
                crate::inbox::transactions::$row(std::sync::Arc::new($books().await)).await;
            }
        )*
    };
    ($books:path) => {
        transaction_tests! { $books:
            the_writes_and_the_accept_are_one,
            the_writes_and_the_completion_are_one,
            a_run_whose_lease_was_lost_commits_nothing,
            the_completion_of_another_inbox_completes_nothing,
            what_the_handler_returns_after_its_commit_changes_nothing,
            what_is_rolled_back_runs_again,
            a_handler_that_goes_on_after_its_commit_is_not_stopped,
            what_was_committed_is_not_given_back,
            the_body_goes_with_the_commit_by_choice,
        }
    };
}

/// By a delivery that is like no other.
fn request(id: &str) -> AcceptRequest {
    let nonce = Nonce::new(u128::from(RandomState::new().hash_one(id)));
    let entry = Entry::from_parts("circa", id, "webhook.test", r#"{"sender":"circa"}"#, circa_body(id).into());
    AcceptRequest::new(entry, nonce)
}

pub(super) async fn accept(inbox: &dyn Inbox, id: &str) -> Accepted {
    inbox.accept(request(id)).await.unwrap()
}

pub(super) async fn lease(inbox: &dyn Inbox, duration: Duration) -> Leased {
    let interests = [Interest::all("circa")];
    inbox.lease(LeaseRequest::new("a test", &interests, 1, duration)).await.unwrap().remove(0)
}

async fn stats(inbox: &dyn Inbox) -> Stats {
    inbox.stats("circa").await.unwrap()
}

/// A worker with this handler's routes, which are given the books.
fn worker<B: Books>(books: &Arc<B>, notes: &Notes, routes: Routes<PortableHandler<Arc<B>>>) -> WorkerBuilder {
    let builder = Worker::builder(books.inbox()).endpoint("circa", Sender::CIRCA, routes, Arc::clone(books));
    builder.observer(notes.clone())
}

/// An event is in the inbox with whatever was written beside it, or neither is.
pub(super) async fn the_writes_and_the_accept_are_one<B: Books>(books: Arc<B>) {
    let (inbox, first) = (books.inbox(), request("evt_1"));
    assert_eq!(books.accept("evt_1", &first, End::RollBack).await, Accepted::New);
    assert_eq!(stats(&*inbox).await, Stats::default());
    assert_eq!(books.accept("evt_1", &first, End::Commit).await, Accepted::New);
    assert_eq!(books.booked().await, ["evt_1"]);
    assert_eq!(books.accept("evt_1", &first, End::RollBack).await, Accepted::New, "repeated by its nonce");
    let known = Accepted::Known { same_body: true };
    assert_eq!(books.accept("evt_1", &request("evt_1"), End::RollBack).await, known);
    assert_eq!(accept(&*inbox, "evt_1").await, known);
    assert_eq!(lease(&*inbox, LEASE).await.entry().event_id(), "evt_1");
    let stats = stats(&*inbox).await;
    assert_eq!((stats.ready, stats.running), (0, 1), "accepted twice");
}

/// Contract, section 8a: the handler's own writes and the completion commit together, or neither.
pub(super) async fn the_writes_and_the_completion_are_one<B: Books>(books: Arc<B>) {
    let inbox = books.inbox();
    for (id, end, is_done) in [("rolled back", End::RollBack, false), ("committed", End::Commit, true)] {
        accept(&*inbox, id).await;
        let leased = lease(&*inbox, LEASE).await;
        let completion = leased.completion(RETENTION);
        books.book(id, &completion, end).await.unwrap();
        assert_eq!(books.booked().await, if is_done { vec![id.to_owned()] } else { vec![] }, "{id}");
        let is_held = inbox.renew(leased.lease(), LEASE).await.unwrap();
        assert_eq!(is_held, !is_done, "{id}");
        assert_eq!(inbox.settle(leased.lease(), COMPLETE).await.unwrap(), !is_done, "{id}");
        let again = books.book(id, &completion, End::Commit).await;
        assert!(matches!(again, Err(CompletionError::Lost)), "{id}: {again:?}");
        assert_eq!(accept(&*inbox, id).await, Accepted::Known { same_body: true }, "{id}");
        assert!(inbox.forget(leased.completion(RETENTION).key()).await.unwrap(), "{id}: it is not done");
    }
}

/// Contract, section 8a: a run whose lease was lost fails the commit.
pub(super) async fn a_run_whose_lease_was_lost_commits_nothing<B: Books>(books: Arc<B>) {
    let inbox = books.inbox();
    accept(&*inbox, "evt_1").await;
    let stale = lease(&*inbox, Duration::ZERO).await.completion(RETENTION);
    let held = lease(&*inbox, LEASE).await.completion(RETENTION);
    let lost = books.book("by the stale run", &stale, End::Commit).await;
    assert!(matches!(lost, Err(CompletionError::Lost)), "{lost:?}");
    books.book("by the other run", &held, End::Commit).await.unwrap();
    assert_eq!(books.booked().await, ["by the other run"]);
}

/// Every inbox counts its events from 1: a number and a token alone name an event of each.
pub(super) async fn the_completion_of_another_inbox_completes_nothing<B: Books>(books: Arc<B>) {
    let inbox = books.inbox();
    accept(&*inbox, "evt_1").await;
    let leased = lease(&*inbox, LEASE).await;
    let entry = Entry::from_parts("circa", "evt_of_another", "webhook.test", "{}", "{}".into());
    let other = Leased::new(leased.lease(), entry, leased.arrived(), 1, 0).completion(RETENTION);
    let refused = books.book("evt_of_another", &other, End::Commit).await;
    assert!(matches!(refused, Err(CompletionError::Lost)), "{refused:?}");
    assert!(inbox.renew(leased.lease(), LEASE).await.unwrap());
    assert_eq!(books.booked().await, Vec::<String>::new());
}

/// The event is done, the lease not lost, and nothing is run again.
pub(super) async fn what_the_handler_returns_after_its_commit_changes_nothing<B: Books>(books: Arc<B>) {
    type Return = fn() -> Result<(), HandlerError>;
    let ends: [(&str, Return, [usize; 3]); 4] = [
        ("ok", || Ok(()), [1, 0, 0]),
        ("an_error", || Err("the mail was not sent".into()), [0, 1, 0]),
        ("a_permanent_error", || Err(HandlerError::permanent("no such mail box")), [0, 1, 0]),
        ("a_panic", || panic!("the handler's own"), [0, 1, 0]),
    ];
    let inbox = books.inbox();
    for (id, end, told) in ends {
        let notes = Notes::default();
        let routes = Routes::new().fallback(move |event: AnyEvent, completion: Completion, books: Arc<B>| async move {
            books.book(event.id(), &completion, End::Commit).await?;
            end()
        });
        accept(&*inbox, id).await;
        let worker = worker(&books, &notes, routes).backoff(Duration::ZERO, Duration::ZERO).build().unwrap();
        assert_eq!(worker.drain().await.unwrap(), 1, "{id}: run again");
        assert_eq!(["handled", "failed", "dead-lettered"].map(|line| notes.count(line)), told, "{id}");
        assert_eq!(notes.count("claim lost"), 0, "{id}");
        assert_eq!(stats(&*inbox).await, Stats::default(), "{id}");
        assert_eq!(books.booked().await.iter().filter(|booked| *booked == id).count(), 1, "{id}");
    }
}

/// Neither has happened: the event is ready again, as after any error.
pub(super) async fn what_is_rolled_back_runs_again<B: Books>(books: Arc<B>) {
    let (inbox, notes) = (books.inbox(), Notes::default());
    let routes = Routes::new().fallback(
        async |event: AnyEvent, delivery: Delivery, books: Arc<B>| -> Result<(), HandlerError> {
            let completion = delivery.completion().ok_or("no inbox runs it")?;
            let is_first = completion.token() == Token::new(1);
            books.book(event.id(), completion, if is_first { End::RollBack } else { End::Commit }).await?;
            if is_first { Err("not committed".into()) } else { Ok(()) }
        },
    );
    accept(&*inbox, "evt_1").await;
    let worker = worker(&books, &notes, routes).backoff(Duration::ZERO, Duration::ZERO).build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 2);
    assert_eq!(["handled", "failed: not committed", "claim lost"].map(|line| notes.count(line)), [1, 1, 0]);
    assert_eq!(books.booked().await, ["evt_1"]);
}

/// Tells of every renewal.
struct Renewals(Arc<Semaphore>);

impl Observer for Renewals {
    fn store_called(&self, _: &str, operation: StoreOperation, _: Duration) {
        if operation == StoreOperation::Renew {
            self.0.add_permits(1);
        }
    }
}

/// What is done has no lease to renew: that is no lost lease.
pub(super) async fn a_handler_that_goes_on_after_its_commit_is_not_stopped<B: Books>(books: Arc<B>) {
    let (inbox, notes, renewals) = (books.inbox(), Notes::default(), Arc::new(Semaphore::new(0)));
    let renewed = Arc::clone(&renewals);
    let routes = Routes::new().fallback(move |event: AnyEvent, completion: Completion, books: Arc<B>| {
        let renewed = Arc::clone(&renewed);
        async move {
            books.book(event.id(), &completion, End::Commit).await?;
            renewed.forget_permits(usize::MAX);
            renewed.acquire_many(3).await?.forget();
            Ok(())
        }
    });
    accept(&*inbox, "evt_1").await;
    let worker = worker(&books, &notes, routes).observer(Renewals(renewals));
    let worker = worker.call_timeout(Duration::from_millis(500)).lease(Duration::from_millis(1_500)).build().unwrap();
    assert_eq!(worker.drain().await.unwrap(), 1);
    assert_eq!(["handled", "claim lost"].map(|line| notes.count(line)), [1, 0]);
    assert_eq!(stats(&*inbox).await, Stats::default());
}

/// A worker that is stopped gives back what still runs, and not what is done.
pub(super) async fn what_was_committed_is_not_given_back<B: Books>(books: Arc<B>) {
    let (inbox, notes, committed) = (books.inbox(), Notes::default(), Arc::new(Semaphore::new(0)));
    let tell = Arc::clone(&committed);
    let routes = Routes::new().fallback(move |event: AnyEvent, completion: Completion, books: Arc<B>| {
        let tell = Arc::clone(&tell);
        async move {
            books.book(event.id(), &completion, End::Commit).await?;
            tell.add_permits(1);
            std::future::pending().await
        }
    });
    accept(&*inbox, "evt_1").await;
    let worker = worker(&books, &notes, routes).drain_deadline(Duration::ZERO).build().unwrap();
    let running = tokio::spawn(worker.clone().run());
    committed.acquire().await.unwrap().forget();
    worker.shutdown().await;
    running.await.unwrap();
    assert_eq!(notes.count("claim lost"), 0);
    assert_eq!(stats(&*inbox).await, Stats::default());
    assert_eq!(books.booked().await, ["evt_1"]);
}

/// Contract, section 8a: bodies of done events are kept for the retention, or dropped at once by
/// choice.
pub(super) async fn the_body_goes_with_the_commit_by_choice<B: Books>(books: Arc<B>) {
    let inbox = books.inbox();
    for (id, is_dropped) in [("kept", false), ("dropped", true)] {
        let routes = Routes::new().fallback(async |event: AnyEvent, completion: Completion, books: Arc<B>| {
            Ok(books.book(event.id(), &completion, End::Commit).await?)
        });
        accept(&*inbox, id).await;
        let builder = worker(&books, &Notes::default(), routes);
        let builder = if is_dropped { builder.drop_handled_bodies() } else { builder };
        assert_eq!(builder.build().unwrap().drain().await.unwrap(), 1, "{id}");
        let done = inbox.list(&Filter::all(), None, 10).await.unwrap().pop().unwrap();
        for change in [Change::Discard { retention: RETENTION }, Change::Restore, Change::Replay] {
            assert_eq!(inbox.change(&[done.id], change).await.unwrap(), 1, "{id}");
        }
        let again = lease(&*inbox, LEASE).await;
        assert_eq!(again.entry().event_id(), id);
        assert_eq!(again.entry().body().is_empty(), is_dropped, "{id}");
    }
}

/// Without an inbox there is nothing to complete, and the answer names the fix.
#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_a_completion_needs_an_inbox() {
    let routes = Routes::new().fallback(async |_: AnyEvent, _: Completion, (): ()| Ok(()));
    let endpoint = Endpoint::new(circa(), routes);
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_1")).await), FAILED);
    assert_eq!(endpoint.notes.count("failed: a `Completion` was extracted where no inbox runs the handler"), 1);
}
