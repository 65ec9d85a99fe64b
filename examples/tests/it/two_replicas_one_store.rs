//! Two receivers on one store: whatever comes to either of them, however often, is handled once.

use std::sync::Arc;

use crate::support::{
    circularo,
    replicas::Replicas,
    sender::{Sender, answers, assert_repeated_for_a_reason, assert_retryable, seed},
    server::Server,
    turn,
};
use circa_receiver::{Sender as Webhooks, testing::fixtures};
use tokio::{sync::watch, time::Instant};

/// The default; nobody dies here.
const LEASE: u32 = 60;

/// Contract, section 7: "`claim` is one atomic operation in the store"; "Done only after the
/// handler succeeded"; "Same event again: done -> 200 `duplicate`".
async fn each_event_is_handled_once_on(server: Server) {
    let _turn = turn::alone().await;
    let sender = Sender { events: 2_000, times: 3, seed: seed() };
    let started = Instant::now();
    let replicas = Arc::new(Replicas::start(&server.url(), LEASE).await);
    let (through, _) = watch::channel(0);
    let sent = sender.run(&replicas, &through).await;
    let heard = Arc::into_inner(replicas).unwrap().stop().await;
    let (name, unmarked) = (server.name(), heard.unmarked.len());
    println!("{name} in {:.1?}: {:?}, {unmarked} not marked done", started.elapsed(), answers(&sent));

    assert_retryable(&sent, &[Some(503)]);
    // Once, but where a machine is so busy that the store does not answer within its timeout: the
    // event is then handled again, and its first run has said so.
    assert!(heard.killed.is_empty());
    assert_repeated_for_a_reason(name, sender.events, &heard, &sent);
    let runs = heard.runs();
    assert!(runs.values().any(|by| by[0] != heard.lines[0].0), "{name}: both have handled some");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis() {
    each_event_is_handled_once_on(Server::redis()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    each_event_is_handled_once_on(Server::shared_postgres()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    each_event_is_handled_once_on(Server::sqlite()).await;
}

/// The other sender's events are in the same store: what one replica has handled is a duplicate to
/// the other.
#[tokio::test]
async fn both_senders_share_the_store() {
    let _turn = turn::unhurried().await;
    for server in [Server::redis(), Server::shared_postgres(), Server::sqlite()] {
        let replicas = Replicas::start(&server.url(), LEASE).await;
        let mut handled = 0;
        for fixture in fixtures().iter().filter(|fixture| fixture.sender() == Webhooks::CIRCULARO) {
            for (replica, outcome) in [(0, "handled"), (1, "duplicate"), (0, "duplicate")] {
                let answer = circularo(fixture.body()).send(replicas.place(replica).1).await;
                assert_eq!(answer.told(), (200, Some(outcome)), "{} {}", server.name(), fixture.name());
            }
            handled += 1;
        }
        assert_eq!(replicas.stop().await.lines.len(), handled, "{}", server.name());
    }
}
