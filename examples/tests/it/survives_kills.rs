//! Receivers and servers are killed while events come in: no event is lost, and what is handled
//! twice is what nobody can know of.

use std::sync::Arc;

use crate::support::{
    random::Random,
    replicas::Replicas,
    sender::{Sender, answers, assert_repeated_for_a_reason, assert_retryable, seed},
    server::Server,
    turn,
};
use tokio::{sync::watch, task::spawn_blocking, time::Instant};

/// Just above the ack deadline, so that what a killed receiver held comes free before the sender
/// gives up.
const LEASE: u32 = 11;

#[derive(Clone, Copy, PartialEq)]
enum Strike {
    Receiver,
    Server,
}

use Strike::{Receiver as R, Server as S};

/// Contract, section 7: "in progress -> absent on release or lease expiry"; "Done only after the
/// handler succeeded"; section 8: "Success: 200 `handled`".
async fn nothing_is_lost_on(server: Server, strikes: &[Strike]) {
    let _turn = turn::alone().await;
    let sender = Sender { events: 2_000, times: 3, seed: seed() };
    let (name, started) = (server.name(), Instant::now());
    let replicas = Arc::new(Replicas::start(&server.url(), LEASE).await);
    let (through, progress) = watch::channel(0);
    let striking = strike(strikes, server, &replicas, progress, &sender);
    let (sent, _server) = tokio::join!(sender.run(&replicas, &through), striking);
    let heard = Arc::into_inner(replicas).unwrap().stop().await;
    let twice = heard.runs().values().filter(|runs| runs.len() > 1).count();
    println!(
        "{name} in {:.1?}: {} runs of the handler for {} events, {twice} events handled more than once, {} not marked done; {:?}",
        started.elapsed(),
        heard.lines.len(),
        sender.events,
        heard.unmarked.len(),
        answers(&sent),
    );

    let receivers = strikes.iter().filter(|strike| **strike == R).count();
    assert_eq!(heard.killed.len(), receivers, "{name}: as many were killed as should have been");
    assert_retryable(&sent, &[None, Some(503)]);
    assert_repeated_for_a_reason(name, sender.events, &heard, &sent);
}

/// Strikes at even distances while the deliveries go through.
async fn strike(
    strikes: &[Strike],
    mut server: Server,
    replicas: &Replicas,
    mut progress: watch::Receiver<usize>,
    sender: &Sender,
) -> Server {
    let mut random = Random::new(sender.seed);
    for (number, strike) in strikes.iter().enumerate() {
        let after = (number + 1) * sender.deliveries() / (strikes.len() + 2);
        progress.wait_for(|through| *through >= after).await.unwrap();
        match strike {
            R => replicas.crash(random.below(replicas.count())).await,
            S => {
                let started = Instant::now();
                server = spawn_blocking(move || {
                    server.crash();
                    server
                })
                .await
                .unwrap();
                println!("{} is back after {:.1?}", server.name(), started.elapsed());
            }
        }
    }
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn redis() {
    nothing_is_lost_on(Server::redis(), &[R, R, R, S, R, R, R, S, R, R, R, R]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres() {
    nothing_is_lost_on(Server::postgres(), &[R, R, R, S, R, R, R, S, R, R, R, R]).await;
}

/// There is no server to kill.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    nothing_is_lost_on(Server::sqlite(), &[R; 10]).await;
}
