//! Two processes that serve one endpoint on one store or inbox, are killed and shut down, and begin
//! anew.

use std::{
    cell::{Cell, RefCell},
    future::pending,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use circa_receiver::{
    AnyEvent, HandlerError, MemoryStore, PortableHandler, Receiver, ReceiverBuilder, Routes, Secret, Sender,
    inbox::Inbox,
    testing::{Answer, FaultInjector, HandlerRuns, MemoryInbox, SimulatedBody, StoreFaults, Target, TokioClock},
};
use http::Request;
use tokio::{
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::super::{NOW, SECRET, behaviour, drawn, ours::answered};
use super::journal::{Journal, What};

/// A process ends so often at most, in each of the two slots.
const ENDS: usize = 3;

/// Processes end within this time, in which most attempts are made.
const ENDS_WITHIN: u64 = 900_000;

/// What all processes share.
#[derive(Clone)]
pub(super) enum Engine {
    Store(Arc<MemoryStore>),
    Inbox(Arc<MemoryInbox>),
}

/// The processes, and what surrounds them. Clones are the same world.
#[derive(Clone)]
pub(super) struct World(Rc<Inner>);

struct Inner {
    seed: u64,
    sender: Sender,
    /// A handler fails so often at most on each event.
    most_failures: Cell<usize>,
    clock: TokioClock,
    injector: FaultInjector,
    engine: Engine,
    runs: HandlerRuns,
    journal: Journal,
    /// The processes that take deliveries.
    slots: RefCell<[Option<Rc<Process>>; 2]>,
    processes: Cell<usize>,
    deliveries: Cell<usize>,
}

/// A process with a receiver, and over an inbox its worker.
struct Process {
    number: usize,
    injector: FaultInjector,
    receiver: Receiver,
    routes: Routes<PortableHandler<()>>,
    tasks: RefCell<Vec<AbortHandle>>,
}

/// What a handler is made of.
struct Handling {
    seed: u64,
    most_failures: usize,
    process: usize,
    injector: FaultInjector,
    runs: HandlerRuns,
    journal: Journal,
}

impl Handling {
    async fn handle(&self, event: &str) -> Result<(), HandlerError> {
        let run = self.runs.start(event);
        self.journal.note(self.process, What::Started(event.to_owned()));
        let runs = self.runs.started(event);
        let (work, succeeds) = behaviour(self.seed, event, runs);
        // Some outlive several renewals of their lease, and an outage that is longer than it.
        let long = drawn(self.seed, event, 200);
        let more = if long % 6 == 0 { 70_000 + long / 6 % 120_000 } else { 0 };
        let work = work + Duration::from_millis(more);
        tokio::select! {
            biased;
            () = self.injector.killed() => return pending().await,
            () = sleep(work) => {}
        }
        if succeeds || runs > self.most_failures {
            self.journal.note(self.process, What::Succeeded(event.to_owned()));
            run.succeed();
            return Ok(());
        }
        self.journal.note(self.process, What::Failed(event.to_owned()));
        run.fail();
        // Drawn from the seed, as the backoff of a worker is not.
        Err(HandlerError::retry_after(work, "not this time"))
    }
}

impl Process {
    /// Dropped, the sender has hung up.
    async fn deliver(&self, request: Request<SimulatedBody>) -> Option<Answer> {
        let spawned = |task| self.tasks.borrow_mut().push(task);
        tokio::select! {
            biased;
            () = self.injector.killed() => None,
            answer = answered(&self.receiver, &self.routes, (), request, spawned) => Some(answer),
        }
    }

    /// Ends at whatever await each of its tasks stands.
    fn end(&self, journal: &Journal) {
        self.injector.kill();
        self.tasks.borrow().iter().for_each(AbortHandle::abort);
        journal.note(self.number, What::Ended);
    }
}

impl World {
    pub(super) fn new(
        seed: u64,
        sender: Sender,
        faults: StoreFaults,
        engine: impl FnOnce(TokioClock) -> Engine,
    ) -> Self {
        let clock = TokioClock::starting_at(NOW);
        Self(Rc::new(Inner {
            seed,
            sender,
            most_failures: Cell::new(2),
            clock,
            injector: FaultInjector::new(seed, faults),
            engine: engine(clock),
            runs: HandlerRuns::default(),
            journal: Journal::new(),
            slots: RefCell::default(),
            processes: Cell::new(0),
            deliveries: Cell::new(0),
        }))
    }

    pub(super) fn failing(self, most_failures: usize) -> Self {
        self.0.most_failures.set(most_failures);
        self
    }

    pub(super) fn clock(&self) -> TokioClock {
        self.0.clock
    }

    pub(super) fn runs(&self) -> &HandlerRuns {
        &self.0.runs
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.0.journal
    }

    pub(super) fn injector(&self) -> &FaultInjector {
        &self.0.injector
    }

    /// Starts a process in a slot, which is to be free.
    pub(super) fn start(&self, slot: usize) {
        let process = Rc::new(self.process());
        self.journal().note(process.number, What::Begins);
        self.0.slots.borrow_mut()[slot] = Some(process);
    }

    fn process(&self) -> Process {
        let Inner { seed, engine, .. } = &*self.0;
        let number = self.0.processes.replace(self.0.processes.get() + 1);
        let injector = self.injector().of_process(number as u64);
        let journal = self.journal().clone();
        injector.on_call(move |call| journal.note(number, What::Call(call.clone())));
        let handling = Arc::new(Handling {
            seed: *seed,
            most_failures: self.0.most_failures.get(),
            process: number,
            injector: injector.clone(),
            runs: self.runs().clone(),
            journal: self.journal().clone(),
        });
        let routes = Routes::new().fallback(move |event: AnyEvent, (): ()| {
            let handling = Arc::clone(&handling);
            async move { handling.handle(event.id()).await }
        });
        let (receiver, worker) = match engine {
            Engine::Store(store) => (self.builder().dedup(injector.around(Arc::clone(store))).build().unwrap(), None),
            Engine::Inbox(inbox) => {
                let builder = self.builder().inbox(injector.around(Arc::clone(inbox)));
                let builder = if seed % 2 == 0 { builder } else { builder.answer_when_handled() };
                let receiver = builder.build().unwrap();
                let worker = receiver.worker(routes.clone(), ()).unwrap();
                let worker = worker.backoff(Duration::ZERO, Duration::ZERO).build().unwrap();
                (receiver, Some(tokio::spawn(worker.run()).abort_handle()))
            }
        };
        Process { number, injector, receiver, routes, tasks: RefCell::new(worker.into_iter().collect()) }
    }

    fn builder(&self) -> ReceiverBuilder {
        let secret = Secret::new(SECRET).unwrap();
        let is_circularo = self.0.sender == Sender::CIRCULARO;
        let builder = if is_circularo { Receiver::circularo(secret) } else { Receiver::circa(secret) };
        builder.clock(self.0.clock)
    }

    /// Starts processes in a slot, and ends them, for ever.
    pub(super) async fn supervise(&self, slot: usize) {
        let drawn = |what: &str, life| drawn(self.0.seed, what, 16 * slot + life);
        for life in 0.. {
            self.start(slot);
            let process = self.0.slots.borrow()[slot].clone().unwrap();
            let (fate, lasts) = (drawn("fate", life) % 6, Duration::from_millis(drawn("lasts", life) % ENDS_WITHIN));
            match fate {
                _ if life == ENDS => return pending().await,
                0 => return pending().await,
                1 => sleep(lasts).await,
                2 | 3 => {
                    process.injector.kill_at_call(1 + drawn("call", life) % 30);
                    process.injector.killed().await;
                }
                _ => {
                    sleep(lasts).await;
                    self.journal().note(process.number, What::ShutsDown);
                    process.receiver.shutdown().await;
                }
            }
            process.end(self.journal());
            self.0.slots.borrow_mut()[slot] = None;
            sleep(Duration::from_millis(drawn("away", life) % 30_000)).await;
        }
    }

    /// Lets what was begun come to its end, at most for some hours.
    pub(super) async fn settle(&self) {
        let Engine::Inbox(inbox) = &self.0.engine else { return sleep(Duration::from_secs(600)).await };
        let emptied = async {
            loop {
                let stats = inbox.stats(self.0.sender.name()).await.unwrap();
                if stats.ready + stats.waiting + stats.running == 0 {
                    return;
                }
                sleep(Duration::from_secs(5)).await;
            }
        };
        let emptied = timeout(Duration::from_secs(4 * 3_600), emptied).await;
        assert!(emptied.is_ok(), "the inbox is never empty");
    }

    pub(super) fn is_over_inbox(&self) -> bool {
        matches!(self.0.engine, Engine::Inbox(_))
    }
}

impl Target for World {
    async fn deliver(&self, request: Request<SimulatedBody>) -> Option<Answer> {
        let number = self.0.deliveries.replace(self.0.deliveries.get() + 1);
        let first = drawn(self.0.seed, "slot", number) as usize % 2;
        let process = {
            let slots = self.0.slots.borrow();
            slots[first].clone().or_else(|| slots[1 - first].clone())
        };
        process?.deliver(request).await
    }
}
