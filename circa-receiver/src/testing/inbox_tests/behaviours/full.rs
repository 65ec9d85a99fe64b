//! A full database: what was answered stays true, and nothing has to be started again.

use crate::dedup::Nonce;
use crate::inbox::{AcceptRequest, Accepted};

use super::super::subject::{COMPLETE, Subject, endpoint, entry, entry_with};

/// The size of the bodies that fill what room is left, in bytes.
const BODY: usize = 64 * 1_024;

/// The most of them that may find room.
const MOST: usize = 500;

/// Contract, section 8a: nothing is answered before it is durable. An accept that finds no room
/// fails; what was accepted before is all there, and with room again the same inbox goes on.
pub async fn nothing_is_lost_while_the_database_is_full(subject: Subject) {
    let endpoint = endpoint();
    subject.accept(&entry(&endpoint, "before")).await;
    let before = subject.lease_one(&endpoint).await;

    subject.stop().await;
    let large = |event: usize| entry_with(&endpoint, &event.to_string(), "row.event", &vec![b'x'; BODY + event]);
    let try_accept = |event| subject.inbox.accept(AcceptRequest::new(large(event), Nonce::fresh()));
    let mut accepted = 0;
    while let Ok(answer) = try_accept(accepted).await {
        assert_eq!(answer, Accepted::New);
        accepted += 1;
        assert!(accepted < MOST, "{accepted} events of {BODY} B have found room");
    }
    assert!(try_accept(accepted).await.is_err(), "there is room again by itself");

    subject.start().await;
    assert!(subject.settle(before.lease(), COMPLETE).await, "the lease from before");
    assert_eq!(subject.accept(&large(accepted)).await, Accepted::New, "what found no room was kept all the same");
    let mut sizes: Vec<usize> = Vec::new();
    for leased in subject.lease(&endpoint).await {
        sizes.push(leased.entry().body().len() - BODY);
        assert!(subject.settle(leased.lease(), COMPLETE).await);
    }
    sizes.sort_unstable();
    assert_eq!(sizes, (0..=accepted).collect::<Vec<_>>(), "the events that were accepted");
}
