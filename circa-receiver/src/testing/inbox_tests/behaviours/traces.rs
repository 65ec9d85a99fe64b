//! Random traces: in whatever order calls come, the inbox answers as [`MemoryInbox`] does.

use std::{collections::HashMap, env, time::Duration};

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any, prop_oneof},
    test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

use crate::dedup::Nonce;
use crate::inbox::{AcceptRequest, Cause, Entry, Inbox, Interest, Lease, LeaseRequest, Leased, Settlement};
use crate::testing::{FakeClock, MemoryInbox};

use super::super::subject::{COMPLETE, LEASE, RETENTION, Subject, endpoint, entry_with, retry};

/// How many traces there are, unless the environment variable `INBOX_TRACES` is set. They are the
/// same in every run.
const TRACES: u32 = 64;

const LONGEST: usize = 40;
const EVENTS: usize = 3;

/// One call, or what happens between two. A call about what was never accepted or leased is left
/// out.
#[derive(Clone, Debug)]
enum Step {
    /// A new delivery of an event.
    Accept {
        event: usize,
        body: u8,
        readable: bool,
    },
    /// The last delivery of this event once more, as when its answer was lost.
    Repeat(usize),
    /// Everything that is due, or only one type.
    Lease {
        one_type: bool,
    },
    /// These with the lease that a worker had of this event, the newest or the one before.
    Renew(Held),
    Settle(Held, Settlement),
    Forget(usize),
    Pass(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Held {
    event: usize,
    is_stale: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let held = || (0..EVENTS, any::<bool>()).prop_map(|(event, is_stale)| Held { event, is_stale });
    let error = || "it failed".to_owned();
    let settlement = prop_oneof![
        2 => Just(COMPLETE),
        2 => Just(retry(LEASE)),
        1 => Just(Settlement::Postpone { after: LEASE, error: error() }),
        1 => Just(Settlement::GiveBack),
        1 => Just(Settlement::Bury { cause: Cause::Permanent, error: error() }),
    ];
    prop_oneof![
        5 => (0..EVENTS, 1..=2_u8, prop_oneof![5 => Just(true), 1 => Just(false)])
            .prop_map(|(event, body, readable)| Step::Accept { event, body, readable }),
        2 => (0..EVENTS).prop_map(Step::Repeat),
        6 => any::<bool>().prop_map(|one_type| Step::Lease { one_type }),
        2 => held().prop_map(Step::Renew),
        6 => (held(), settlement).prop_map(|(held, settlement)| Step::Settle(held, settlement)),
        1 => (0..EVENTS).prop_map(Step::Forget),
        4 => prop_oneof![6 => Just(LEASE / 3), 3 => Just(LEASE), 1 => Just(RETENTION)].prop_map(Step::Pass),
    ]
}

/// Contract, section 8a, as a whole: accepts, leases, renewals and settlements in any order, by
/// workers that are late.
pub async fn random_traces_are_answered_as_by_the_model(subject: Subject) {
    let cases = env::var("INBOX_TRACES").map_or(TRACES, |traces| traces.parse().expect("INBOX_TRACES is a number"));
    let config = Config { cases, failure_persistence: None, max_shrink_time: 60_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let replay = |trace: Vec<Step>| block_in_place(|| Handle::current().block_on(replay(&subject, &trace)));
    runner.run(&vec(step(), 1..=LONGEST), replay).unwrap_or_else(|error| panic!("{error}"));
}

async fn replay(subject: &Subject, trace: &[Step]) -> Result<(), TestCaseError> {
    let mut world = World::new(subject);
    for step in trace {
        let (expected, answered) = world.take(step).await;
        if expected != answered {
            let why = format!("{step:?}: answered {answered}, where the model answers {expected}");
            return Err(TestCaseError::fail(why));
        }
    }
    Ok(())
}

/// An endpoint that no other trace has, in the inbox and in the model.
struct World<'s> {
    subject: &'s Subject,
    clock: FakeClock,
    model: MemoryInbox,
    endpoint: String,
    deliveries: HashMap<usize, AcceptRequest>,
    /// The leases of each event, in the model and in the inbox.
    leases: HashMap<usize, Vec<(Lease, Lease)>>,
}

impl<'s> World<'s> {
    fn new(subject: &'s Subject) -> Self {
        let clock = FakeClock::at(1_747_000_800);
        let model = MemoryInbox::with_clock(clock.clone());
        let (deliveries, leases) = (HashMap::new(), HashMap::new());
        Self { subject, clock, model, endpoint: endpoint(), deliveries, leases }
    }

    fn entry(&self, event: usize, body: u8) -> Entry {
        entry_with(&self.endpoint, &event.to_string(), ["even", "odd"][event % 2], &[body])
    }

    /// What the model answers, and what the inbox does.
    async fn take(&mut self, step: &Step) -> (String, String) {
        let inbox = &self.subject.inbox;
        match step {
            Step::Accept { event, body, readable } => {
                let mut request = AcceptRequest::new(self.entry(*event, *body), Nonce::fresh());
                if !readable {
                    request = request.unreadable("never");
                }
                self.deliveries.insert(*event, request.clone());
                both(self.model.accept(request.clone()).await, inbox.accept(request).await)
            }
            Step::Repeat(event) => {
                let Some(request) = self.deliveries.get(event) else { return Default::default() };
                both(self.model.accept(request.clone()).await, inbox.accept(request.clone()).await)
            }
            Step::Lease { one_type } => self.lease(*one_type).await,
            Step::Renew(held) => {
                let Some((model, real)) = self.held(*held) else { return Default::default() };
                both(self.model.renew(model, LEASE).await, inbox.renew(real, LEASE).await)
            }
            Step::Settle(held, settlement) => {
                let Some((model, real)) = self.held(*held) else { return Default::default() };
                let expected = self.model.settle(model, settlement.clone()).await;
                both(expected, inbox.settle(real, settlement.clone()).await)
            }
            Step::Forget(event) => {
                let key = self.entry(*event, 1).key();
                both(self.model.forget(&key).await, inbox.forget(&key).await)
            }
            Step::Pass(time) => {
                self.clock.advance(*time);
                self.subject.pass(*time).await;
                Default::default()
            }
        }
    }

    async fn lease(&mut self, one_type: bool) -> (String, String) {
        let interests = [match one_type {
            true => Interest::of_types(&self.endpoint, vec!["odd".to_owned()]),
            false => Interest::all(&self.endpoint),
        }];
        let request = || LeaseRequest::new("a trace", &interests, 2 * EVENTS, LEASE);
        let mut leased = [
            self.model.lease(request()).await.expect("the model answers"),
            self.subject.inbox.lease(request()).await.expect("the inbox answers"),
        ];
        for leased in &mut leased {
            leased.sort_by(|one, other| one.entry().event_id().cmp(other.entry().event_id()));
        }
        for (model, real) in leased[0].iter().zip(&leased[1]) {
            let event: usize = model.entry().event_id().parse().expect("a number");
            self.leases.entry(event).or_default().push((model.lease(), real.lease()));
        }
        let told = |leased: &Leased| {
            let entry = leased.entry();
            format!("{} {:?} {} {}", entry.event_id(), entry.body(), leased.attempt(), leased.postponed())
        };
        let [expected, answered] = leased.map(|leased| leased.iter().map(told).collect::<Vec<_>>().join(", "));
        (expected, answered)
    }

    fn held(&self, held: Held) -> Option<(Lease, Lease)> {
        let leases = self.leases.get(&held.event)?;
        leases.iter().rev().nth(usize::from(held.is_stale)).copied()
    }
}

fn both<T: std::fmt::Debug>(expected: T, answered: T) -> (String, String) {
    (format!("{expected:?}"), format!("{answered:?}"))
}
