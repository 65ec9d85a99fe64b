//! Leasing: one run at a time, and what fences it.

use std::time::Duration;

use crate::dedup::Token;
use crate::inbox::{Interest, Lease, Settlement};

use super::super::subject::{COMPLETE, LEASE, MARGIN, Subject, endpoint, entry, entry_with, retry};

/// Contract, section 8a: one run at a time per event.
pub async fn a_leased_event_is_not_leased_again(subject: Subject) {
    let endpoint = endpoint();
    subject.accept(&entry(&endpoint, "evt_1")).await;
    subject.lease_one(&endpoint).await;
    assert!(subject.lease(&endpoint).await.is_empty());
    subject.pass(LEASE - MARGIN).await;
    assert!(subject.lease(&endpoint).await.is_empty(), "before the lease lapses");
}

/// Endpoints that a worker does not serve, and types that it has no handler for, are left to
/// others.
pub async fn only_what_a_worker_can_run_is_leased(subject: Subject) {
    let (here, there) = (endpoint(), endpoint());
    for (endpoint, id, event_type) in [(&here, "a", "one"), (&here, "b", "two"), (&there, "c", "one")] {
        subject.accept(&entry_with(endpoint, id, event_type, b"{}")).await;
    }
    let of = |endpoint: &str, types: &[&str]| {
        Interest::of_types(endpoint, types.iter().map(|one| (*one).to_owned()).collect())
    };
    let rows: [(&str, Vec<Interest>, &[&str]); 5] = [
        ("nothing", vec![], &[]),
        ("no type", vec![of(&here, &[])], &[]),
        ("another type", vec![of(&here, &["three"])], &[]),
        ("one type", vec![of(&here, &["two", "three"])], &["b"]),
        ("two endpoints", vec![Interest::all(&here), of(&there, &["one"])], &["a", "c"]),
    ];
    for (name, interests, expected) in rows {
        let leased = subject.lease_some(&interests, 10).await;
        let mut ids: Vec<&str> = leased.iter().map(|leased| leased.entry().event_id()).collect();
        ids.sort_unstable();
        assert_eq!(ids, expected, "{name}");
    }
}

/// Contract, section 8a: roughly oldest first.
pub async fn no_more_than_the_limit_is_leased_the_oldest_first(subject: Subject) {
    let endpoint = endpoint();
    for id in ["1", "2", "3", "4", "5"] {
        subject.accept(&entry(&endpoint, id)).await;
        subject.pass(Duration::from_secs(1)).await;
    }
    for (limit, expected) in [(0, vec![]), (2, vec!["1", "2"]), (10, vec!["3", "4", "5"])] {
        let leased = subject.lease_some(&[Interest::all(&endpoint)], limit).await;
        let ids: Vec<&str> = leased.iter().map(|leased| leased.entry().event_id()).collect();
        assert_eq!(ids, expected, "at most {limit}");
    }
}

/// A type at the limit of a worker does not keep its other types waiting.
pub async fn a_limited_interest_leaves_the_rest_to_others(subject: Subject) {
    let endpoint = endpoint();
    for (id, event_type) in [("a", "slow"), ("b", "slow"), ("c", "slow"), ("d", "fast"), ("e", "other")] {
        subject.accept(&entry_with(&endpoint, id, event_type, b"{}")).await;
    }
    let slow = |limit| Interest::of_types(&endpoint, vec!["slow".to_owned()]).at_most(limit);
    let all_but = |types: &[&str]| Interest::all_but(&endpoint, types.iter().map(|one| (*one).to_owned()).collect());
    let rows: [(&str, Vec<Interest>, usize, &[&str]); 5] = [
        ("none of them", vec![slow(0)], 10, &[]),
        ("all types but two", vec![all_but(&["slow", "other"])], 10, &["d"]),
        ("one of them, and all others", vec![slow(1), all_but(&["slow"])], 10, &["a", "e"]),
        ("no more than the whole request", vec![slow(2)], 1, &["b"]),
        ("more than there are", vec![slow(5)], 10, &["c"]),
    ];
    for (name, interests, limit, expected) in rows {
        let leased = subject.lease_some(&interests, limit).await;
        let mut ids: Vec<&str> = leased.iter().map(|leased| leased.entry().event_id()).collect();
        ids.sort_unstable();
        assert_eq!(ids, expected, "{name}");
    }
}

/// Contract, section 8b: a tenant is part of its endpoint's name; its events are run and counted
/// with those of the endpoint.
pub async fn events_of_tenants_are_found_by_their_endpoint(subject: Subject) {
    let endpoint = endpoint();
    for (at, id) in [("", "a"), ("/acme", "b"), ("/Zoë", "c"), ("0", "d"), ("-acme", "e")] {
        subject.accept(&entry(&format!("{endpoint}{at}"), id)).await;
    }
    let stats = subject.inbox.stats(&endpoint).await.expect("the inbox answers");
    assert_eq!(stats.ready, 3);
    for (name, interest, expected) in [
        ("of one tenant", Interest::all(&format!("{endpoint}/acme")), &["b"][..]),
        ("of the endpoint alone", Interest::all(&endpoint), &["a"]),
        ("of all its tenants", Interest::all(&endpoint).with_tenants(), &["c"]),
    ] {
        let leased = subject.lease_some(&[interest], 10).await;
        let ids: Vec<&str> = leased.iter().map(|leased| leased.entry().event_id()).collect();
        assert_eq!(ids, expected, "{name}");
    }
    let stats = subject.inbox.stats(&endpoint).await.expect("the inbox answers");
    assert_eq!((stats.ready, stats.running), (0, 3));
}

/// A worker that is gone loses its event to another one, and the attempt counts.
pub async fn a_lapsed_lease_is_leased_again_with_a_higher_token(subject: Subject) {
    let endpoint = endpoint();
    subject.accept(&entry(&endpoint, "evt_1")).await;
    let first = subject.lease_one(&endpoint).await;
    subject.pass(LEASE).await;
    let second = subject.lease_one(&endpoint).await;
    assert_eq!(second.lease().id(), first.lease().id());
    assert!(second.lease().token() > first.lease().token(), "{second:?} does not rise above {first:?}");
    assert_eq!(second.attempt(), 2);
}

/// The lease is prolonged from the renewal on.
pub async fn a_renewed_lease_counts_from_the_renewal(subject: Subject) {
    let endpoint = endpoint();
    subject.accept(&entry(&endpoint, "evt_1")).await;
    let leased = subject.lease_one(&endpoint).await;
    subject.pass(LEASE - MARGIN).await;
    assert!(subject.renew(leased.lease()).await);
    subject.pass(LEASE - MARGIN).await;
    assert!(subject.lease(&endpoint).await.is_empty(), "it was renewed");
    subject.pass(MARGIN).await;
    assert_eq!(subject.lease_one(&endpoint).await.attempt(), 2);
}

/// Contract, section 8a: every write is fenced by the token.
pub async fn a_stale_lease_does_nothing(subject: Subject) {
    let endpoint = endpoint();
    subject.accept(&entry(&endpoint, "evt_1")).await;
    let stale = subject.lease_one(&endpoint).await.lease();
    subject.pass(LEASE).await;
    let held = subject.lease_one(&endpoint).await.lease();
    assert!(!subject.renew(stale).await, "renewed");
    for settlement in [COMPLETE, retry(Duration::ZERO), Settlement::GiveBack] {
        assert!(!subject.settle(stale, settlement.clone()).await, "{settlement:?}");
    }
    assert!(subject.lease(&endpoint).await.is_empty(), "a stale lease has made it ready");
    assert!(subject.renew(held).await);
    assert!(subject.settle(held, COMPLETE).await, "a stale lease has ended it");
}

/// Nothing is known of a lease that was never given out.
pub async fn what_was_never_leased_is_not_held(subject: Subject) {
    let endpoint = endpoint();
    subject.accept(&entry(&endpoint, "evt_1")).await;
    let leased = subject.lease_one(&endpoint).await;
    assert!(subject.settle(leased.lease(), Settlement::GiveBack).await);
    let (id, token) = (leased.lease().id(), leased.lease().token().get());
    for (name, lease) in [
        ("given back", leased.lease()),
        ("a later token", Lease::new(id, Token::new(token + 1))),
        ("no such event", Lease::new(u64::MAX, Token::new(token))),
    ] {
        assert!(!subject.renew(lease).await, "{name}: renewed");
        assert!(!subject.settle(lease, COMPLETE).await, "{name}: settled");
    }
    subject.lease_one(&endpoint).await;
}
