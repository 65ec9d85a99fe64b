//! One truth for a key: a receiver with an inbox and one in dedup mode, on one file.

use std::time::Duration;

use circa_receiver::{
    DedupStore, SqliteInbox, SqliteStore,
    dedup::{ClaimAnswer, ClaimRequest, Nonce},
    inbox::{Accepted, Inbox, Settlement},
};

use super::{Folder, LEASE, RETENTION, accept, entry, lease};

const DONE: ClaimAnswer = ClaimAnswer::Done { same_body: true };
const KNOWN: Accepted = Accepted::Known { same_body: true };

async fn claim(store: &SqliteStore, id: &str, lease: Duration) -> ClaimAnswer {
    let (key, fingerprint) = (entry(id).key(), entry(id).fingerprint());
    store.claim(ClaimRequest::new(&key, fingerprint, Nonce::new(7), lease, RETENTION)).await.unwrap()
}

async fn win(store: &SqliteStore, id: &str, lease: Duration) -> circa_receiver::dedup::Token {
    match claim(store, id, lease).await {
        ClaimAnswer::Won(token) => token,
        other => panic!("{id} was not won: {other:?}"),
    }
}

fn both(folder: &Folder) -> (SqliteStore, SqliteInbox) {
    (SqliteStore::open(folder.file()).unwrap(), SqliteInbox::open(folder.file()).unwrap())
}

/// What either mode has handled is `duplicate` in the other.
#[tokio::test]
async fn what_one_mode_has_handled_the_other_knows() {
    let folder = Folder::new();
    let (store, inbox) = both(&folder);
    let token = win(&store, "by dedup", LEASE).await;
    assert!(store.complete(&entry("by dedup").key(), token, RETENTION).await.unwrap());
    assert_eq!(accept(&inbox, "by dedup").await, KNOWN);

    assert_eq!(accept(&inbox, "by inbox").await, Accepted::New);
    let leased = lease(&inbox).await;
    assert_eq!(leased.len(), 1, "an event that dedup mode has handled is not in the queue");
    assert!(inbox.settle(leased[0].lease(), Settlement::Complete { retention: RETENTION }).await.unwrap());
    assert_eq!(claim(&store, "by inbox", LEASE).await, DONE);
}

/// What is safe in the inbox is not run by a receiver in dedup mode, nor forgotten by its operator.
#[tokio::test]
async fn what_the_inbox_has_not_run_yet_dedup_mode_leaves_to_it() {
    let folder = Folder::new();
    let (store, inbox) = both(&folder);
    accept(&inbox, "evt_1").await;
    let key = entry("evt_1").key();
    for state in ["ready", "running"] {
        assert_eq!(claim(&store, "evt_1", LEASE).await, DONE, "{state}");
        assert!(!store.forget(&key).await.unwrap(), "{state}: forgotten");
        assert!(!store.withdraw(&key, Nonce::new(7)).await.unwrap(), "{state}: withdrawn");
        assert_eq!(lease(&inbox).await.len(), usize::from(state == "ready"), "{state}");
    }
}

/// A run in dedup mode may still fail: its event is not accepted meanwhile, and is afterwards.
#[tokio::test]
async fn what_dedup_mode_runs_now_is_not_accepted_before_it_ends() {
    let folder = Folder::new();
    let (store, inbox) = both(&folder);
    let token = win(&store, "released", LEASE).await;
    let answer = accept(&inbox, "released").await;
    assert!(matches!(answer, Accepted::InProgress { retry_after } if retry_after <= LEASE), "{answer:?}");
    assert!(store.release(&entry("released").key(), token).await.unwrap());
    assert_eq!(accept(&inbox, "released").await, Accepted::New);

    let token = win(&store, "lapsed", Duration::ZERO).await;
    assert_eq!(accept(&inbox, "lapsed").await, Accepted::New);
    let key = entry("lapsed").key();
    assert!(!store.complete(&key, token, RETENTION).await.unwrap(), "a late holder completed what the inbox has");
    assert_eq!(lease(&inbox).await.len(), 2);
}
