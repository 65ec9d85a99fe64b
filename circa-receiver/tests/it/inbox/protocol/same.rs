//! The rows of the model are those of the reference inbox: in every state that a row can be in,
//! every operation is answered alike.

use std::{
    panic::catch_unwind,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use circa_receiver::{
    dedup::{Nonce, Token},
    inbox::{self, AcceptRequest, Accepted, Cause, Change, Entry, Inbox, Interest, Lease, LeaseRequest},
    testing::{FakeClock, MemoryInbox},
};
use stateright::{Checker, Model, Path, Property};

use super::row::{Flaw, Row, Settlement, State};

const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(72 * 3_600);

/// All operations on one row, by holders of any lease that it ever had.
#[derive(Clone, Debug)]
struct Rows;

/// A row is leased so often.
const LEASES: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operation {
    Accept(u8),
    Lapse,
    Lease,
    Renew(u8),
    Settle(u8, Settlement),
    Replay,
}

impl Model for Rows {
    type State = Row;
    type Action = Operation;

    fn init_states(&self) -> Vec<Row> {
        vec![Row::default()]
    }

    fn actions(&self, row: &Row, operations: &mut Vec<Operation>) {
        operations.extend([Operation::Accept(1), Operation::Accept(2)]);
        if row.state == State::Absent {
            return;
        }
        operations.extend([Operation::Lapse, Operation::Replay]);
        operations.extend((row.token < LEASES).then_some(Operation::Lease));
        for token in 1..=row.token {
            operations.push(Operation::Renew(token));
            operations.extend(Settlement::ALL.map(|settlement| Operation::Settle(token, settlement)));
        }
    }

    fn next_state(&self, row: &Row, operation: Operation) -> Option<Row> {
        let mut row = *row;
        answer(&mut row, operation);
        Some(row)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        // Without one the checker has nothing to look for, and ends at once.
        vec![Property::always("every state is visited", |_, _| true)]
    }
}

/// What the model answers.
fn answer(row: &mut Row, operation: Operation) -> String {
    match operation {
        Operation::Accept(nonce) => row.accept(nonce).to_string(),
        Operation::Lapse => {
            row.lapse();
            String::new()
        }
        Operation::Lease => format!("{:?}", row.lease(Flaw::None)),
        Operation::Renew(token) => row.renew(token, Flaw::None).to_string(),
        Operation::Settle(token, settlement) => row.settle(token, settlement, Flaw::None).to_string(),
        Operation::Replay => row.replay().to_string(),
    }
}

/// The reference inbox with one event.
struct Reference {
    clock: FakeClock,
    inbox: MemoryInbox,
}

impl Reference {
    fn new() -> Self {
        let clock = FakeClock::at(1_747_000_800);
        Self { inbox: MemoryInbox::with_clock(clock.clone()), clock }
    }

    async fn answer(&self, operation: Operation) -> String {
        let Self { clock, inbox } = self;
        let lease = |token: u8| Lease::new(0, Token::new(token.into()));
        match operation {
            Operation::Accept(nonce) => {
                let entry = Entry::from_parts("circa", "evt_1", "webhook.test", "{}", Bytes::new());
                let accepted = inbox.accept(AcceptRequest::new(entry, Nonce::new(nonce.into()))).await.unwrap();
                (accepted == Accepted::New).to_string()
            }
            Operation::Lapse => {
                clock.advance(LEASE);
                String::new()
            }
            Operation::Lease => {
                let interests = [Interest::all("circa")];
                let leased = inbox.lease(LeaseRequest::new("a worker", &interests, 1, LEASE)).await.unwrap();
                let leased = leased.first().map(|leased| (leased.lease().token().get(), leased.attempt()));
                format!("{leased:?}")
            }
            Operation::Renew(token) => inbox.renew(lease(token), LEASE).await.unwrap().to_string(),
            Operation::Settle(token, how) => inbox.settle(lease(token), settlement(how)).await.unwrap().to_string(),
            Operation::Replay => (inbox.change(&[0], Change::Replay).await.unwrap() == 1).to_string(),
        }
    }
}

fn settlement(settlement: Settlement) -> inbox::Settlement {
    let (after, error) = (Duration::ZERO, "on purpose".to_owned());
    match settlement {
        Settlement::Complete => inbox::Settlement::Complete { retention: RETENTION },
        Settlement::Retry => inbox::Settlement::Retry { after, error },
        Settlement::Postpone => inbox::Settlement::Postpone { after, error },
        Settlement::GiveBack => inbox::Settlement::GiveBack,
        Settlement::Bury => inbox::Settlement::Bury { cause: Cause::Permanent, error },
    }
}

/// Brings the reference inbox into the row's state, and compares what both answer there.
fn compare(path: &[Operation], row: Row) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut operations = Vec::new();
    Rows.actions(&row, &mut operations);
    for operation in operations {
        let answered = runtime.block_on(async {
            let reference = Reference::new();
            for operation in path {
                reference.answer(*operation).await;
            }
            reference.answer(operation).await
        });
        assert_eq!(answer(&mut row.clone(), operation), answered, "{operation:?} after {path:?}");
    }
}

#[test]
fn the_rows_of_the_model_are_those_of_the_reference_inbox() {
    let failure = Arc::new(Mutex::new(None));
    let told = Arc::clone(&failure);
    let visitor = move |path: Path<Row, Operation>| {
        let row = *path.last_state();
        let path = path.into_actions();
        let compared = catch_unwind(|| compare(&path, row));
        if let Err(panic) = compared {
            *told.lock().unwrap() = panic.downcast_ref::<String>().cloned();
        }
    };
    let checker = Rows.checker().visitor(visitor).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    assert!(checker.unique_state_count() > 50, "{} states", checker.unique_state_count());
    assert_eq!(*failure.lock().unwrap(), None);
}
