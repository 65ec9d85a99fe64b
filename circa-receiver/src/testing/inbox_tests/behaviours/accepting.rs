//! Accepting: an event is kept once, as it was.

use crate::dedup::Nonce;
use crate::inbox::{AcceptRequest, Accepted};

use super::super::subject::{COMPLETE, Subject, endpoint, entry, entry_with};

const KNOWN: Accepted = Accepted::Known { same_body: true };

/// The health check of an inbox that works succeeds.
pub async fn an_inbox_that_works_says_so(subject: Subject) {
    subject.inbox.check().await.expect("the inbox works");
}

/// Contract, section 8a: ready -> running -> done; a known event is a duplicate in whatever state.
pub async fn accepted_then_leased_then_done(subject: Subject) {
    let endpoint = endpoint();
    let entry = entry(&endpoint, "evt_1");
    assert_eq!(subject.accept(&entry).await, Accepted::New);
    assert_eq!(subject.accept(&entry).await, KNOWN, "ready");
    let leased = subject.lease_one(&endpoint).await;
    assert_eq!((leased.attempt(), leased.postponed()), (1, 0));
    assert_eq!(subject.accept(&entry).await, KNOWN, "running");
    assert!(subject.settle(leased.lease(), COMPLETE).await);
    assert_eq!(subject.accept(&entry).await, KNOWN, "done");
    assert!(subject.lease(&endpoint).await.is_empty(), "what is done is not run again");
}

/// Contract, section 8a: the raw body, and what was verified.
pub async fn what_was_accepted_comes_back_as_it_was(subject: Subject) {
    let endpoint = endpoint();
    let all: Vec<u8> = (0..=u8::MAX).collect();
    let long = vec![b'x'; 1_024 * 1_024];
    let bodies: [(&str, &[u8]); 4] = [("evt_all", &all), ("evt_empty", b""), ("evt_long", &long), ("evt_é '\"", b"{}")];
    for (id, body) in bodies {
        assert_eq!(subject.accept(&entry_with(&endpoint, id, "a.type", body)).await, Accepted::New, "{id}");
    }
    let leased = subject.lease(&endpoint).await;
    assert_eq!(leased.len(), bodies.len());
    for (id, body) in bodies {
        let entry = leased.iter().map(|leased| leased.entry()).find(|entry| entry.event_id() == id).expect(id);
        assert_eq!(&entry.body()[..], body, "{id}");
        assert_eq!(entry.details(), r#"{"sender":"circa"}"#, "{id}");
        assert_eq!((entry.endpoint(), entry.event_type()), (&*endpoint, "a.type"), "{id}");
    }
}

/// The nonce makes an accept whose answer was lost repeatable by the same delivery, and by no
/// other.
pub async fn an_accept_may_be_repeated_by_its_nonce(subject: Subject) {
    let endpoint = endpoint();
    let (entry, nonce) = (entry(&endpoint, "evt_1"), Nonce::fresh());
    assert_eq!(subject.accept_as(&entry, nonce).await, Accepted::New);
    assert_eq!(subject.accept_as(&entry, nonce).await, Accepted::New, "repeated");
    assert_eq!(subject.accept(&entry).await, KNOWN, "another delivery");
    subject.lease_one(&endpoint).await;
}

/// Same id with a different body: known, marked as one of another body, and the first body stays.
pub async fn the_body_is_remembered_by_its_fingerprint(subject: Subject) {
    let endpoint = endpoint();
    subject.accept(&entry_with(&endpoint, "evt_1", "a.type", b"first")).await;
    let other = entry_with(&endpoint, "evt_1", "a.type", b"other");
    assert_eq!(subject.accept(&other).await, Accepted::Known { same_body: false });
    let leased = subject.lease_one(&endpoint).await;
    assert_eq!(&leased.entry().body()[..], b"first");
    assert!(subject.settle(leased.lease(), COMPLETE).await);
    assert_eq!(subject.accept(&other).await, Accepted::Known { same_body: false });
}

/// Contract, section 8a: undecodable envelopes are dead at once.
pub async fn an_unreadable_event_is_dead_at_once(subject: Subject) {
    let endpoint = endpoint();
    let entry = entry(&endpoint, "(unreadable) hash");
    let request = AcceptRequest::new(entry.clone(), Nonce::fresh()).unreadable("`id` is missing");
    assert_eq!(subject.inbox.accept(request).await.expect("the inbox answers"), Accepted::New);
    assert_eq!(subject.accept(&entry).await, KNOWN);
    assert!(subject.lease(&endpoint).await.is_empty());
    let stats = subject.inbox.stats(&endpoint).await.expect("the inbox answers");
    assert_eq!((stats.ready, stats.dead), (0, 1));
}

/// A key is the pair of endpoint and event id, whatever characters they have.
pub async fn no_two_keys_collide(subject: Subject) {
    let base = endpoint();
    for (at, id) in [("", "evt"), ("e", "vt"), ("", "EVT"), ("", "evt."), ("", "evt.x"), ("", "evt ")] {
        let endpoint = format!("{base}{at}");
        assert_eq!(subject.accept(&entry(&endpoint, id)).await, Accepted::New, "{at:?} {id:?}");
    }
}
