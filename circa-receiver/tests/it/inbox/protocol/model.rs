//! Two receivers and two workers on one inbox, any of which ends between any two steps.
//!
//! Every call has its effect or not, and its answer arrives or not. A process that stands still is
//! one that makes no step while a lease lapses. A call that has no effect and no answer changes
//! nothing, so it is no step.

use stateright::{Model, Property};

use super::row::{Flaw, Row, Settlement, State};

const RECEIVERS: usize = 2;
const WORKERS: usize = 2;

/// An event is buried before it runs once more than so often.
const MAX_ATTEMPTS: u8 = 2;

/// The protocol with so many events.
#[derive(Clone, Debug)]
pub(super) struct Protocol<const EVENTS: usize> {
    /// Each event is delivered so often.
    pub(super) deliveries: u8,
    /// An event is leased so often at most: it bounds the model.
    pub(super) leases: u8,
    pub(super) flaw: Flaw,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct World<const EVENTS: usize> {
    events: [Event; EVENTS],
    receivers: [Receiver; RECEIVERS],
    workers: [Worker; WORKERS],
    /// A call has changed a row that another worker has leased since.
    stale_call_had_effect: bool,
}

/// An event in the inbox, and what is known of it outside.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
struct Event {
    row: Row,
    deliveries: u8,
    /// A delivery was answered 2xx.
    is_answered: bool,
    /// How often its handler has succeeded, up to two.
    successes: u8,
    has_lapsed: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Receiver {
    #[default]
    Idle,
    Accepting {
        event: usize,
        nonce: u8,
    },
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Worker {
    #[default]
    Idle,
    /// Its run has not begun.
    Leased(Lease),
    Running(Lease),
    Settling(Lease, Settlement),
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Lease {
    event: usize,
    token: u8,
    attempt: u8,
}

impl Worker {
    fn lease(self) -> Option<Lease> {
        match self {
            Self::Idle => None,
            Self::Leased(lease) | Self::Running(lease) | Self::Settling(lease, _) => Some(lease),
        }
    }
}

/// Whether an answer arrives.
type Arrives = bool;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Deliver {
        receiver: usize,
        event: usize,
    },
    Accept(usize, Arrives),
    /// A receiver ends, or answers 503.
    GiveUp(usize),
    Lapse(usize),
    Lease {
        worker: usize,
        event: usize,
        arrives: Arrives,
    },
    Renew(usize, Arrives),
    Begin(usize),
    End(usize, Settlement),
    /// A worker is stopped before its run has ended.
    Stop(usize),
    Settle(usize, Arrives),
    Crash(usize),
    Replay(usize),
}

impl<const EVENTS: usize> Model for Protocol<EVENTS> {
    type State = World<EVENTS>;
    type Action = Step;

    fn init_states(&self) -> Vec<World<EVENTS>> {
        vec![World {
            events: [Event::default(); EVENTS],
            receivers: Default::default(),
            workers: Default::default(),
            stale_call_had_effect: false,
        }]
    }

    fn actions(&self, world: &World<EVENTS>, steps: &mut Vec<Step>) {
        for (receiver, state) in world.receivers.iter().enumerate() {
            if *state == Receiver::Idle {
                let undelivered = (0..EVENTS).filter(|event| world.events[*event].deliveries < self.deliveries);
                steps.extend(undelivered.map(|event| Step::Deliver { receiver, event }));
            } else {
                steps.extend([Step::Accept(receiver, true), Step::Accept(receiver, false), Step::GiveUp(receiver)]);
            }
        }
        for (worker, state) in world.workers.iter().enumerate() {
            world.steps_of_worker(worker, *state, steps);
        }
        for (event, Event { row, .. }) in world.events.iter().enumerate() {
            steps.extend((row.state == State::Running { lapsed: false }).then_some(Step::Lapse(event)));
            steps.extend((row.state == State::Dead).then_some(Step::Replay(event)));
        }
    }

    fn next_state(&self, before: &World<EVENTS>, step: Step) -> Option<World<EVENTS>> {
        let mut world = before.clone();
        world.take(step, self.flaw);
        // What changes nothing is no step.
        (world != *before).then_some(world)
    }

    fn within_boundary(&self, world: &World<EVENTS>) -> bool {
        world.events.iter().all(|event| event.row.token <= self.leases && event.row.attempts <= self.leases)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no acknowledged event is lost", |_, world: &World<EVENTS>| {
                world.events.iter().filter(|event| event.is_answered).all(|event| match event.row.state {
                    State::Absent => false,
                    State::Done => event.successes > 0,
                    State::Ready | State::Running { .. } | State::Dead => true,
                })
            }),
            Property::always("no two live holders of one token", |_, world: &World<EVENTS>| {
                let [one, other] = world.workers.map(|worker| worker.lease().map(|lease| (lease.event, lease.token)));
                one.is_none() || one != other
            }),
            Property::always("no call of a stale holder has an effect", |_, world: &World<EVENTS>| {
                !world.stale_call_had_effect
            }),
            Property::always("no attempt over the limit runs", |_, world: &World<EVENTS>| {
                world
                    .workers
                    .iter()
                    .all(|worker| !matches!(worker, Worker::Running(lease) if lease.attempt > MAX_ATTEMPTS))
            }),
            Property::always("an effect happens twice only where a lease has lapsed", |_, world: &World<EVENTS>| {
                world.events.iter().all(|event| event.successes < 2 || event.has_lapsed)
            }),
            Property::sometimes("an event is done", |_, world: &World<EVENTS>| world.is(State::Done)),
            Property::sometimes("an event is dead", |_, world: &World<EVENTS>| world.is(State::Dead)),
            Property::sometimes("two workers hold one event", |_, world: &World<EVENTS>| {
                let [one, other] = world.workers.map(|worker| worker.lease().map(|lease| lease.event));
                one.is_some() && one == other
            }),
        ]
    }
}

impl<const EVENTS: usize> World<EVENTS> {
    /// One of the states that differ only in which receiver and which worker it is.
    pub(super) fn representative(&self) -> Self {
        let mut world = self.clone();
        world.receivers.sort_unstable();
        world.workers.sort_unstable();
        world
    }

    fn is(&self, state: State) -> bool {
        self.events.iter().any(|event| event.row.state == state)
    }

    fn steps_of_worker(&self, worker: usize, state: Worker, steps: &mut Vec<Step>) {
        let both = |step: fn(usize, Arrives) -> Step| [step(worker, true), step(worker, false)];
        match state {
            Worker::Idle => {
                let due = (0..EVENTS).filter(|event| self.events[*event].row.is_due());
                steps.extend(due.flat_map(|event| [true, false].map(|arrives| Step::Lease { worker, event, arrives })));
                return;
            }
            Worker::Leased(_) => steps.extend([Step::Begin(worker), Step::Stop(worker)]),
            Worker::Running(_) => {
                steps.push(Step::Stop(worker));
                let ends = [Settlement::Complete, Settlement::Retry, Settlement::Postpone, Settlement::Bury];
                steps.extend(ends.map(|settlement| Step::End(worker, settlement)));
            }
            Worker::Settling(..) => steps.extend(both(Step::Settle)),
        }
        steps.extend(both(Step::Renew));
        steps.push(Step::Crash(worker));
    }

    fn take(&mut self, step: Step, flaw: Flaw) {
        match step {
            Step::Deliver { receiver, event } => {
                let known = &mut self.events[event];
                known.deliveries += 1;
                known.is_answered |= flaw == Flaw::AnswersFirst;
                self.receivers[receiver] = Receiver::Accepting { event, nonce: known.deliveries };
            }
            Step::Accept(receiver, arrives) => {
                let Receiver::Accepting { event, nonce } = self.receivers[receiver] else { return };
                // New or known, it is answered 2xx.
                self.events[event].row.accept(nonce);
                if arrives {
                    self.events[event].is_answered = true;
                    self.receivers[receiver] = Receiver::Idle;
                }
            }
            Step::GiveUp(receiver) => self.receivers[receiver] = Receiver::Idle,
            Step::Lapse(event) => {
                self.events[event].row.lapse();
                self.events[event].has_lapsed = true;
            }
            Step::Lease { worker, event, arrives } => {
                let leased = self.events[event].row.lease(flaw).filter(|_| arrives);
                if let Some((token, attempt)) = leased {
                    self.workers[worker] = Worker::Leased(Lease { event, token, attempt });
                }
            }
            Step::Replay(event) => _ = self.events[event].row.replay(),
            Step::Crash(worker) => self.workers[worker] = Worker::Idle,
            Step::Renew(worker, arrives) => self.renew(worker, arrives, flaw),
            Step::Begin(worker) => self.begin(worker, flaw),
            Step::End(worker, settlement) => self.end(worker, settlement, flaw),
            Step::Stop(worker) => {
                let lease = self.workers[worker].lease();
                self.workers[worker] =
                    lease.map_or(Worker::Idle, |lease| Worker::Settling(lease, Settlement::GiveBack));
            }
            Step::Settle(worker, arrives) => {
                let Worker::Settling(lease, settlement) = self.workers[worker] else { return };
                self.settle(lease, settlement, flaw);
                if arrives {
                    self.workers[worker] = Worker::Idle;
                }
            }
        }
    }

    /// An event whose attempts are used up is buried before it runs.
    fn begin(&mut self, worker: usize, flaw: Flaw) {
        let Worker::Leased(lease) = self.workers[worker] else { return };
        if lease.attempt > MAX_ATTEMPTS && flaw != Flaw::NoLimit {
            self.workers[worker] = Worker::Settling(lease, Settlement::Bury);
            return;
        }
        if flaw == Flaw::MarksFirst {
            self.settle(lease, Settlement::Complete, flaw);
        }
        self.workers[worker] = Worker::Running(lease);
    }

    fn end(&mut self, worker: usize, settlement: Settlement, flaw: Flaw) {
        let Worker::Running(lease) = self.workers[worker] else { return };
        let event = &mut self.events[lease.event];
        if settlement == Settlement::Complete {
            event.successes = (event.successes + 1).min(2);
        }
        let settlement = match settlement {
            Settlement::Complete if flaw == Flaw::GivesBackWhatIsDone => Settlement::GiveBack,
            Settlement::Retry if lease.attempt >= MAX_ATTEMPTS => Settlement::Bury,
            _ => settlement,
        };
        self.workers[worker] = Worker::Settling(lease, settlement);
    }

    /// A worker that learns that its lease was lost stops its run.
    fn renew(&mut self, worker: usize, arrives: Arrives, flaw: Flaw) {
        let Some(lease) = self.workers[worker].lease() else { return };
        let row = &mut self.events[lease.event].row;
        let is_stale = lease.token != row.token;
        let held = row.renew(lease.token, flaw);
        self.stale_call_had_effect |= held && is_stale;
        let is_settling = matches!(self.workers[worker], Worker::Settling(..));
        if arrives && !held && !is_settling {
            self.workers[worker] = Worker::Idle;
        }
    }

    fn settle(&mut self, lease: Lease, settlement: Settlement, flaw: Flaw) {
        let row = &mut self.events[lease.event].row;
        let is_stale = lease.token != row.token;
        let token = if flaw == Flaw::TakesTheNewToken { row.token } else { lease.token };
        let held = row.settle(token, settlement, flaw);
        self.stale_call_had_effect |= held && is_stale;
    }
}
