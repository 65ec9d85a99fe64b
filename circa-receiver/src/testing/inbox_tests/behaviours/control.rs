//! Control: what operators see, and what they do.

use std::time::Duration;

use crate::inbox::{Accepted, Cause, Change, Filter, Group, Inbox, Interest, Pause, Replay, Settlement, State};

use super::super::subject::{COMPLETE, MARGIN, RETENTION, Subject, endpoint, entry, entry_with};

fn bury(cause: Cause) -> Settlement {
    Settlement::Bury { cause, error: format!("{cause}!") }
}

/// One event in each state but "discarded", by its name.
async fn one_of_each(subject: &Subject) -> String {
    let endpoint = endpoint();
    for id in ["done", "dead", "hopeless", "running"] {
        subject.accept(&entry(&endpoint, id)).await;
        subject.pass(Duration::from_secs(1)).await;
    }
    for leased in subject.lease(&endpoint).await {
        let settlement = match leased.entry().event_id() {
            "done" => COMPLETE,
            "dead" => bury(Cause::Permanent),
            "hopeless" => bury(Cause::Attempts),
            _ => continue,
        };
        assert!(subject.settle(leased.lease(), settlement).await);
    }
    subject.accept(&entry_with(&endpoint, "ready", "other.type", b"{}")).await;
    endpoint
}

async fn ids(inbox: &dyn Inbox, filter: &Filter) -> Vec<String> {
    let records = inbox.list(filter, None, 100).await.expect("the inbox answers");
    records.into_iter().map(|record| record.event_id).collect()
}

/// Contract, section 8a: list, by endpoint, type, cause and time, in order of arrival and in pages.
pub async fn events_are_listed_by_what_they_have_in_common(subject: Subject) {
    let endpoint = one_of_each(&subject).await;
    let inbox = &*subject.inbox;
    let here = || Filter::all().endpoint(&endpoint);
    let rows: [(&str, Filter, &[&str]); 7] = [
        ("all", here(), &["done", "dead", "hopeless", "running", "ready"]),
        ("one type", here().event_type("other.type"), &["ready"]),
        ("ready", here().state(State::Ready), &["ready"]),
        ("running", here().state(State::Running), &["running"]),
        ("done", here().state(State::Done), &["done"]),
        ("dead", here().state(State::Dead), &["dead", "hopeless"]),
        ("of one cause", here().cause(Cause::Attempts), &["hopeless"]),
    ];
    for (name, filter, expected) in rows {
        assert_eq!(ids(inbox, &filter).await, expected, "{name}");
    }
    let all = inbox.list(&here(), None, 100).await.expect("the inbox answers");
    let page = inbox.list(&here(), Some(all[1].id), 2).await.expect("the inbox answers");
    assert_eq!(page, all[2..4], "the second page");
    let (since, until) = (all[1].arrived, all[3].arrived);
    assert_eq!(ids(inbox, &here().since(since).until(until)).await, ["dead", "hopeless"], "of a time");
    let dead = &all[1];
    let told = (dead.attempts, dead.cause, dead.error.as_deref(), dead.worker.as_deref());
    assert_eq!(told, (1, Some(Cause::Permanent), Some("permanent!"), Some("a row")));
    let old = || here().older_than(Duration::from_secs(300));
    assert_eq!(ids(inbox, &old()).await, Vec::<String>::new(), "none is so old");
    subject.pass(Duration::from_secs(300)).await;
    assert_eq!(ids(inbox, &old().state(State::Dead)).await, ["dead", "hopeless"], "old");
    let groups = Group::count(inbox, here()).await.expect("the inbox answers");
    let groups: Vec<_> = groups.iter().map(|group| (group.event_type(), group.cause(), group.events())).collect();
    assert_eq!(groups, [("row.event", Some(Cause::Permanent), 1), ("row.event", Some(Cause::Attempts), 1)]);
}

/// Contract, section 8a: one event's life: its attempts, workers and errors.
pub async fn every_failed_attempt_is_kept(subject: Subject) {
    let endpoint = endpoint();
    subject.accept(&entry(&endpoint, "evt_1")).await;
    for error in ["first", "second"] {
        let leased = subject.lease_one(&endpoint).await;
        let settlement = Settlement::Retry { after: Duration::ZERO, error: error.to_owned() };
        assert!(subject.settle(leased.lease(), settlement).await);
    }
    // The third ends with its process.
    let leased = subject.lease_one(&endpoint).await;
    subject.pass(super::super::subject::LEASE).await;
    subject.lease_one(&endpoint).await;
    let failures = subject.inbox.failures(leased.lease().id()).await.expect("the inbox answers");
    let told: Vec<_> = failures.iter().map(|failure| (failure.attempt, failure.worker.as_deref())).collect();
    assert_eq!(told, [(1, Some("a row")), (2, Some("a row")), (3, Some("a row"))]);
    assert_eq!((&*failures[0].error, &*failures[1].error), ("first", "second"));
    assert!(failures[2].error.contains("lapsed"), "{:?}", failures[2]);
}

/// Contract, section 8a: a replay works on the set as it was when it was asked for, and gives back
/// all attempts.
pub async fn a_replay_runs_the_dead_letters_that_there_were(subject: Subject) {
    let endpoint = one_of_each(&subject).await;
    let inbox = &*subject.inbox;
    for leased in subject.lease(&endpoint).await {
        assert!(subject.settle(leased.lease(), COMPLETE).await);
    }
    let replay = Replay::plan(inbox, Filter::all().endpoint(&endpoint)).await.expect("the inbox answers");
    assert_eq!(replay.len(), 2);
    subject.accept(&entry(&endpoint, "later")).await;
    let later = subject.lease_one(&endpoint).await;
    assert!(subject.settle(later.lease(), bury(Cause::Permanent)).await);
    assert_eq!(replay.run(inbox, None).await.expect("the inbox answers"), 2);
    let leased = subject.lease(&endpoint).await;
    let told: Vec<_> = leased.iter().map(|leased| (leased.entry().event_id(), leased.attempt())).collect();
    assert_eq!(told, [("dead", 1), ("hopeless", 1)]);
    assert_eq!(replay.run(inbox, None).await.expect("the inbox answers"), 0, "they are not dead any more");
    assert_eq!(ids(inbox, &Filter::dead().endpoint(&endpoint)).await, ["later"]);
}

/// Contract, section 8a: discarded: hidden, and kept until the retention ends.
pub async fn what_is_discarded_can_be_restored_until_its_retention_ends(subject: Subject) {
    let endpoint = one_of_each(&subject).await;
    let inbox = &*subject.inbox;
    let all = inbox.list(&Filter::all().endpoint(&endpoint), None, 100).await.expect("the inbox answers");
    let every: Vec<u64> = all.iter().map(|record| record.id).collect();
    let discard = Change::Discard { retention: RETENTION };
    assert_eq!(inbox.change(&every, discard).await.expect("the inbox answers"), 3, "done, dead and hopeless");
    assert_eq!(inbox.change(&every, discard).await.expect("the inbox answers"), 0, "twice");
    assert_eq!(inbox.change(&every, Change::Replay).await.expect("the inbox answers"), 0, "replayed");
    let discarded = Filter::all().endpoint(&endpoint).state(State::Discarded);
    assert_eq!(ids(inbox, &discarded).await, ["done", "dead", "hopeless"]);
    assert_eq!(subject.accept(&entry(&endpoint, "dead")).await, Accepted::Known { same_body: true });

    assert_eq!(inbox.change(&every[1..2], Change::Restore).await.expect("the inbox answers"), 1);
    subject.pass(RETENTION - MARGIN).await;
    assert_eq!(subject.accept(&entry(&endpoint, "hopeless")).await, Accepted::Known { same_body: true });
    subject.pass(MARGIN).await;
    assert_eq!(subject.accept(&entry(&endpoint, "hopeless")).await, Accepted::New, "after the retention");
    assert_eq!(subject.accept(&entry(&endpoint, "dead")).await, Accepted::Known { same_body: true }, "restored");
    assert_eq!(inbox.change(&every[1..2], Change::Replay).await.expect("the inbox answers"), 1);
}

/// Contract, section 8a: paused endpoints or types are accepted and not run.
pub async fn what_is_paused_is_accepted_and_not_run(subject: Subject) {
    let (endpoint, other) = (endpoint(), endpoint());
    let inbox = &*subject.inbox;
    let set = async |pause: &Pause, is_paused| inbox.set_paused(pause, is_paused).await.expect("the inbox answers");
    let (whole, one_type) = (Pause::new(&endpoint, None), Pause::new(&other, Some("a.type")));
    for pause in [&whole, &one_type] {
        assert!(set(pause, true).await, "{pause:?}");
        assert!(!set(pause, true).await, "{pause:?}, twice");
        assert!(inbox.pauses().await.expect("the inbox answers").contains(pause), "{pause:?}");
    }
    for (endpoint, id, event_type) in [(&endpoint, "1", "a.type"), (&other, "2", "a.type"), (&other, "3", "b.type")] {
        assert_eq!(subject.accept(&entry_with(endpoint, id, event_type, b"{}")).await, Accepted::New);
    }
    let interests = [Interest::all(&endpoint), Interest::all(&other)];
    let run = async || {
        let leased = subject.lease_some(&interests, 10).await;
        leased.iter().map(|leased| leased.entry().event_id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(run().await, ["3"]);
    assert!(set(&one_type, false).await);
    assert!(!set(&one_type, false).await, "resumed twice");
    assert_eq!(run().await, ["2"]);
    assert!(set(&whole, false).await);
    assert_eq!(run().await, ["1"]);
}
