//! The Redis store: what every store must do, on one server and on a cluster, and what only a
//! server that can fail must.

mod entries;
mod outages;
mod refusals;

use std::{
    future::Future,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore, RedisStore,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, StoreError, Token},
    testing::store_tests::Subject,
};
use circa_receiver_test_support::{READY_WITHIN, redis::RedisServer};

/// For a machine that has other things to do; the default is short.
const PATIENCE: Duration = Duration::from_secs(1);
const LEASE: Duration = Duration::from_secs(60);
const RETENTION: Duration = Duration::from_secs(600);
const DONE: ClaimAnswer = ClaimAnswer::Done { same_body: true };

/// What rows that run at the same time use together, gone with the last of them.
fn shared<T>(slot: &Mutex<Weak<T>>, start: impl FnOnce() -> T) -> Arc<T> {
    let mut slot = slot.lock().unwrap();
    slot.upgrade().unwrap_or_else(|| {
        let started = Arc::new(start());
        *slot = Arc::downgrade(&started);
        started
    })
}

/// The server goes away and comes back, in the rows that ask for it.
fn with_outage<T: Send + 'static>(subject: Subject, server: T, stop: fn(&mut T), start: fn(&mut T)) -> Subject {
    let server = Arc::new(Mutex::new(server));
    let hook = |change: fn(&mut T)| {
        let server = Arc::clone(&server);
        move || {
            change(&mut server.lock().unwrap());
            std::future::ready(())
        }
    };
    subject.outage(hook(stop), hook(start)).keep(server)
}

mod single {
    use super::*;

    static SERVER: Mutex<Weak<RedisServer>> = Mutex::new(Weak::new());

    async fn subject() -> Subject {
        let server = shared(&SERVER, RedisServer::start);
        Subject::new(store_of(&server).await).entries(50_000).keep(server)
    }

    async fn own_server() -> Subject {
        let server = RedisServer::start();
        let subject = Subject::new(store_of(&server).await);
        with_outage(subject, server, RedisServer::kill, RedisServer::restart)
    }

    circa_receiver::store_tests!(subject, outage = own_server);
}

#[cfg(feature = "redis-cluster")]
mod cluster {
    use circa_receiver_test_support::redis::RedisCluster;

    use super::*;

    static CLUSTER: Mutex<Weak<RedisCluster>> = Mutex::new(Weak::new());

    async fn subject() -> Subject {
        let cluster = shared(&CLUSTER, RedisCluster::start);
        let store = connected(|| RedisStore::connect_cluster(cluster.urls())).await.response_timeout(PATIENCE);
        Subject::new(store).entries(20_000).keep(cluster)
    }

    async fn own_cluster() -> Subject {
        let cluster = RedisCluster::start_durable();
        let store = connected(|| RedisStore::connect_cluster(cluster.urls())).await;
        let subject = Subject::new(store);
        with_outage(subject, cluster, RedisCluster::kill, RedisCluster::restart)
    }

    circa_receiver::store_tests!(subject, outage = own_cluster);

    /// One node that does not answer takes its own events with it, and for a moment, while the
    /// others are looked for, theirs.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_frozen_node_does_not_stop_the_others() {
        let mut cluster = RedisCluster::start();
        let store = connected(|| RedisStore::connect_cluster(cluster.urls())).await;
        cluster.nodes()[1].freeze();
        let mut answered = 0;
        for round in 0..30 {
            let started = Instant::now();
            answered += u32::from(claim(&store, &event(round), 1).await.is_ok());
            // As long as a receiver waits for it.
            assert!(started.elapsed() < Duration::from_secs(2), "round {round}: {:?}", started.elapsed());
        }
        assert!(answered >= 10, "only {answered} of 30 events could be claimed on two nodes of three");
        cluster.nodes()[1].thaw();
        let back = Instant::now();
        loop {
            let mut all = true;
            for round in 100..130 {
                all &= claim(&store, &event(round), 1).await.is_ok();
            }
            if all {
                break;
            }
            assert!(back.elapsed() < READY_WITHIN, "the store is not back");
        }
    }
}

/// What comes of connecting, once the machine gives it the time that a store waits for it.
async fn connected<F: Future<Output = Result<RedisStore, StoreError>>>(connect: impl Fn() -> F) -> RedisStore {
    let started = Instant::now();
    loop {
        match connect().await {
            Ok(store) => return store,
            Err(error) => assert!(started.elapsed() < READY_WITHIN, "{error}"),
        }
    }
}

/// A store for tests in which time is not the rule.
async fn store_of(server: &RedisServer) -> RedisStore {
    let url = server.url();
    connected(|| RedisStore::connect(&url)).await.response_timeout(PATIENCE)
}

fn event(number: u64) -> Key {
    Key::new("redis store", &format!("evt_{number}"))
}

async fn claim_for(store: &RedisStore, key: &Key, nonce: u128, lease: Duration) -> Result<ClaimAnswer, StoreError> {
    store.claim(ClaimRequest::new(key, Fingerprint::from_bytes([1; 32]), Nonce::new(nonce), lease, RETENTION)).await
}

async fn claim(store: &RedisStore, key: &Key, nonce: u128) -> Result<ClaimAnswer, StoreError> {
    claim_for(store, key, nonce, LEASE).await
}

async fn win(store: &RedisStore, key: &Key, nonce: u128) -> Token {
    match claim(store, key, nonce).await {
        Ok(ClaimAnswer::Won(token)) => token,
        other => panic!("{key:?} is not won: {other:?}"),
    }
}

/// A connection of the test's own.
fn raw(server: &RedisServer) -> redis::Connection {
    redis::Client::open(server.url()).unwrap().get_connection().unwrap()
}

fn ask<T: redis::FromRedisValue>(server: &RedisServer, command: &[&[u8]]) -> T {
    let (name, arguments) = command.split_first().unwrap();
    redis::cmd(std::str::from_utf8(name).unwrap()).arg(arguments).query(&mut raw(server)).unwrap()
}

/// Where a store with the default prefix keeps an event.
fn place(key: &Key) -> Vec<u8> {
    [b"circa-receiver:", key.as_bytes()].concat()
}

/// Every operation, by name, each with how it ended and how long it took in tokio's time.
async fn every_call(store: &RedisStore, key: &Key, token: Token) -> Vec<(&'static str, Option<StoreError>, Duration)> {
    async fn timed<T>(
        name: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> (&'static str, Option<StoreError>, Duration) {
        let started = tokio::time::Instant::now();
        let error = call.await.err();
        (name, error, started.elapsed())
    }
    vec![
        timed("claim", claim(store, &Key::new("redis store", "every call"), 99)).await,
        timed("renew", store.renew(key, token, LEASE)).await,
        timed("complete", store.complete(key, token, RETENTION)).await,
        timed("release", store.release(key, token)).await,
        timed("forget", store.forget(key)).await,
        timed("check", store.check()).await,
    ]
}
