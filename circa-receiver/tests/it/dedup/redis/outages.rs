//! A server that is killed, frozen, or lost in the network: calls end in time, and go on working
//! afterwards.

use circa_receiver_test_support::redis::RedisServer;
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

use circa_receiver::{DedupStore, RedisStore, dedup::StoreError};

use crate::support::receiving::{Endpoint, Gate, HANDLED, Request, UNAVAILABLE, answer, circa};

use super::{DONE, LEASE, PATIENCE, RETENTION, ask, claim, connected, event, every_call, store_of, win};

/// A server knows the scripts by their hashes, until it is restarted or a `SCRIPT FLUSH` removes
/// them.
#[tokio::test]
async fn a_server_that_has_forgotten_the_scripts_learns_them_again() {
    let mut server = RedisServer::start_durable();
    let store = store_of(&server).await;
    for (round, restart) in [false, true, false, true].into_iter().enumerate() {
        let key = event(round as u64);
        let mut forget = || if restart { server.restart() } else { ask(&server, &[b"SCRIPT", b"FLUSH"]) };
        forget();
        let token = win(&store, &key, 1).await;
        forget();
        assert!(store.renew(&key, token, LEASE).await.unwrap(), "round {round}");
        forget();
        assert!(store.complete(&key, token, RETENTION).await.unwrap(), "round {round}");
        forget();
        assert_eq!(claim(&store, &key, 2).await.unwrap(), DONE, "round {round}");
    }
}

/// Every call ends in time on a server that does not answer, and the first call after that is
/// answered.
///
/// While the server is frozen, time is paused: it passes when nothing but time is waited for, and
/// is counted exactly.
#[tokio::test]
async fn a_frozen_server_fails_every_call_in_time_and_the_next_call_after_the_thaw_works() {
    let server = RedisServer::start();
    let url = server.url();
    let (by_default, store) = (connected(|| RedisStore::connect(&url)).await, store_of(&server).await);
    for round in 0..3 {
        let (held, asked) = (event(2 * round), event(2 * round + 1));
        let token = win(&store, &held, 1).await;
        server.freeze();
        tokio::time::pause();
        // To answer may take 150 ms by default, to connect 250 ms more; timers have a resolution of
        // a millisecond.
        for (store, bound) in [(&by_default, 150 + 250 + 2), (&store, 1_000 + 250 + 2)] {
            for (name, error, took) in every_call(store, &held, token).await {
                assert!(matches!(error, Some(StoreError::Timeout)), "{name}, round {round}: {error:?}");
                assert!(took <= Duration::from_millis(bound), "{name}, round {round}: {took:?}");
            }
        }
        assert!(claim(&store, &asked, 1).await.is_err());
        tokio::time::resume();
        server.thaw();
        win(&store, &event(1_000 + round), 1).await;
        assert!(store.check().await.is_ok(), "round {round}");
    }
}

/// A claim that a thawed server reads long after its delivery was answered holds nothing: the
/// sender's next attempt would wait for its lease.
#[tokio::test]
async fn a_claim_that_nobody_waits_for_any_more_is_not_made() {
    let server = RedisServer::start();
    let store = Arc::new(store_of(&server).await);
    win(&store, &event(0), 1).await;
    server.freeze();
    // All at once, so that they are on their way before the connection is given up.
    let claims: Vec<_> = (1..=10)
        .map(|number| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { claim(&store, &event(number), 1).await })
        })
        .collect();
    for (number, claim) in (1..).zip(claims) {
        assert!(claim.await.unwrap().is_err(), "event {number}");
    }
    // Three times 250 ms, until nobody could wait for the others even if they had had to connect
    // first.
    for number in 11..=13 {
        assert!(claim(&store, &event(number), 1).await.is_err(), "event {number}");
    }
    server.thaw();
    for number in 1..=13 {
        win(&store, &event(number), 2).await;
    }
}

/// Contract, section 7: the claim is repeated until 2 s before the ack deadline, each call within
/// the store timeout; only then 503.
#[tokio::test]
async fn deliveries_to_a_frozen_server_are_answered_503_in_time() {
    let server = RedisServer::start();
    let store_timeout = Duration::from_secs(1);
    let builder = circa().dedup(store_of(&server).await).store_timeout(store_timeout);
    let endpoint = Endpoint::new(builder, Gate::open().routes());
    assert_eq!(answer(&endpoint.deliver(&Request::circa("evt_before")).await), HANDLED);
    server.freeze();
    tokio::time::pause();
    for number in 0..5 {
        let started = tokio::time::Instant::now();
        let response = endpoint.deliver(&Request::circa(&format!("evt_{number}"))).await;
        assert_eq!(answer(&response), UNAVAILABLE, "delivery {number}");
        let bound = Duration::from_secs(8) + store_timeout + Duration::from_millis(200);
        assert!(started.elapsed() < bound, "delivery {number}: {:?}", started.elapsed());
    }
}

/// As above: after thaw the next delivery is 200. The server's time passes too, so it cannot be
/// paused here.
#[tokio::test]
async fn deliveries_after_the_thaw_of_a_frozen_server_are_answered_200() {
    let server = RedisServer::start();
    let store = store_of(&server).await.response_timeout(Duration::from_millis(500));
    let endpoint = Endpoint::new(circa().dedup(store).ack_deadline(Duration::from_secs(3)), Gate::open().routes());
    for round in 0..3 {
        let requests: Vec<_> = (0..5).map(|number| Request::circa(&format!("evt_{round}_{number}"))).collect();
        server.freeze();
        for request in &requests {
            assert_eq!(answer(&endpoint.deliver(request).await), UNAVAILABLE, "round {round}");
        }
        server.thaw();
        for request in &requests {
            assert_eq!(answer(&endpoint.deliver(request).await), HANDLED, "round {round}, again");
        }
    }
}

/// Deliveries go on being answered by a store whose server comes and goes.
#[tokio::test]
async fn the_first_call_after_a_restart_works() {
    let mut server = RedisServer::start_durable();
    let store = store_of(&server).await;
    let (first, second) = (event(1), event(2));
    let mut token = win(&store, &first, 1).await;
    for round in 0..3 {
        server.restart();
        assert!(store.renew(&first, token, LEASE).await.unwrap(), "renew, round {round}");
        server.restart();
        assert!(store.release(&first, token).await.unwrap(), "release, round {round}");
        server.restart();
        token = win(&store, &first, round + 2).await;
    }
    let token = win(&store, &second, 1).await;
    server.restart();
    assert!(store.complete(&second, token, RETENTION).await.unwrap());
    server.restart();
    assert_eq!(claim(&store, &second, 2).await.unwrap(), DONE, "on the disk");
}

/// A connection that is silently lost, as when a firewall forgets it or the name stands for another
/// server: the network gives it up after a quarter of an hour, the store after one call.
#[tokio::test]
async fn a_connection_lost_without_a_word_fails_one_call() {
    let server = RedisServer::start();
    let network = Network::before(&server);
    let url = network.url();
    let store = connected(|| RedisStore::connect(&url)).await.response_timeout(PATIENCE);
    for round in 0..3 {
        win(&store, &event(2 * round), 1).await;
        network.lose_connections();
        let error = store.check().await.expect_err("nothing comes back");
        assert!(matches!(error, StoreError::Timeout), "round {round}: {error:?}");
        win(&store, &event(2 * round + 1), 1).await;
    }
}

/// Connections to a server that can be cut without notice to either end.
struct Network {
    port: u16,
    /// Connections that were made in an earlier era carry nothing any more.
    era: Arc<AtomicU16>,
    closed: Arc<AtomicBool>,
}

impl Network {
    fn before(server: &RedisServer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let network = Self { port: listener.local_addr().unwrap().port(), era: Arc::default(), closed: Arc::default() };
        let (target, era, closed) = (server.port(), Arc::clone(&network.era), Arc::clone(&network.closed));
        thread::spawn(move || {
            for client in listener.incoming().take_while(|_| !closed.load(Ordering::SeqCst)) {
                let (client, server) = (client.unwrap(), TcpStream::connect(("127.0.0.1", target)).unwrap());
                for (from, to) in [(&client, &server), (&server, &client)] {
                    let (from, to, era) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(&era));
                    thread::spawn(move || carry(from, to, &era));
                }
            }
        });
        network
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn lose_connections(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, era: &AtomicU16) {
    let born = era.load(Ordering::SeqCst);
    let mut buffer = [0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if era.load(Ordering::SeqCst) == born && to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    if era.load(Ordering::SeqCst) == born {
        let _ = to.shutdown(Shutdown::Both);
    }
}
