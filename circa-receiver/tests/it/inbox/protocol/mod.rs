//! The protocol of the inbox as a model that is checked exhaustively: accept, lease, lapse, renew,
//! complete, retry, postpone, give back, bury and replay, by two receivers and two workers, any of
//! which ends or stands still between any two steps.
//!
//! The model's rows are compared with [`MemoryInbox`], and that one with every inbox, by
//! `inbox_tests!`.

mod model;
mod row;
mod same;

use stateright::{Checker, Model};

use self::{
    model::{Protocol, World},
    row::Flaw,
};

/// Checks all states.
fn check<const EVENTS: usize>(protocol: Protocol<EVENTS>) -> impl Checker<Protocol<EVENTS>> {
    let checker = protocol.checker().threads(2).symmetry_fn(World::representative).spawn_dfs().join();
    println!("{} states, depth {}", checker.unique_state_count(), checker.max_depth());
    checker
}

/// Contract, section 8a: "a crash at any point loses nothing", "one run at a time per event: every
/// write is fenced by the token".
#[test]
fn the_protocol_keeps_its_promises_with_one_event() {
    check(Protocol::<1> { deliveries: 2, leases: 4, flaw: Flaw::None }).assert_properties();
}

#[test]
fn the_protocol_keeps_its_promises_with_two_events() {
    check(Protocol::<2> { deliveries: 1, leases: 2, flaw: Flaw::None }).assert_properties();
}

/// The model can fail: each flaw is found, by the property that it breaks.
#[test]
fn a_broken_protocol_is_found() {
    let cases = [
        (Flaw::NoFence, "no call of a stale holder has an effect"),
        (Flaw::TakesTheNewToken, "no call of a stale holder has an effect"),
        (Flaw::TokenStays, "no two live holders of one token"),
        (Flaw::AnswersFirst, "no acknowledged event is lost"),
        (Flaw::MarksFirst, "no acknowledged event is lost"),
        (Flaw::NoLimit, "no attempt over the limit runs"),
        (Flaw::GivesBackWhatIsDone, "an effect happens twice only where a lease has lapsed"),
    ];
    for (flaw, broken) in cases {
        let checker = check(Protocol::<1> { deliveries: 1, leases: 3, flaw });
        assert!(checker.discovery(broken).is_some(), "{flaw:?} is not found");
    }
}
