//! A server that dies, freezes or restarts: every call ends in time, no claim is made after its
//! caller has given up, and the store reconnects by itself.

use circa_receiver_test_support::{READY_WITHIN, Relay, postgres::PostgresServer};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use circa_receiver::{
    DedupStore,
    dedup::{
        ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce, PostgresStore, StoreError, Token,
        sqlx::postgres::PgPoolOptions,
    },
};

use tokio::{net::TcpListener, sync::Semaphore};

use crate::support::receiving::{DUPLICATE, Endpoint, Gate, HANDLED, Request, UNAVAILABLE, answer, circa};

use super::{DONE, LEASE, PATIENCE, RETENTION, all_operations_work, handle, key, options, pool, request, win};

/// As long as a receiver waits for its store, and twice as long as the store's own timeout.
const BOUND: Duration = Duration::from_secs(2);

async fn store_of(server: &PostgresServer) -> Arc<PostgresStore> {
    let store = PostgresStore::connect_lazy(&server.url()).unwrap();
    store.migrate().await.unwrap();
    Arc::new(store)
}

/// As above, for rows that are not about time: the default timeout leaves 500 ms to make a
/// connection, which a busy machine may not keep.
async fn patient_store_of(server: &PostgresServer) -> Arc<PostgresStore> {
    let store = PostgresStore::connect_lazy(&server.url()).unwrap().timeout(PATIENCE);
    store.migrate().await.unwrap();
    Arc::new(store)
}

/// Fills the pool with connections that were in use and are idle now.
async fn warm(store: &Arc<PostgresStore>, round: &str) {
    let claims: Vec<_> = (0..32)
        .map(|index| {
            let (store, key) = (Arc::clone(store), key(format!("warm {round} {index}")));
            tokio::spawn(async move { handle(&store, &key).await })
        })
        .collect();
    for claim in claims {
        claim.await.unwrap();
    }
}

async fn in_time<T>(name: &str, call: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let answer = call.await;
    assert!(started.elapsed() < BOUND, "{name} took {:?}", started.elapsed());
    answer
}

async fn all_fail_in_time(store: &PostgresStore, key: &Key, token: Token) {
    fn failed<T>(name: &str, answer: Result<T, StoreError>) {
        assert!(answer.is_err(), "{name} is answered");
    }
    failed("claim", in_time("claim", store.claim(request(key, 99))).await);
    failed("renew", in_time("renew", store.renew(key, token, LEASE)).await);
    failed("complete", in_time("complete", store.complete(key, token, RETENTION)).await);
    failed("release", in_time("release", store.release(key, token)).await);
    failed("forget", in_time("forget", store.forget(key)).await);
    failed("check", in_time("check", store.check()).await);
}

/// Whichever connections a frozen server holds, in use or idle, each call ends, and after the thaw
/// each works at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_frozen_server_is_an_error_in_time_and_works_again_when_it_thaws() {
    let server = PostgresServer::start();
    let store = store_of(&server).await;
    for round in 0..3 {
        warm(&store, &round.to_string()).await;
        let held = key(format!("held {round}"));
        let token = win(&store, &held, 1).await;
        server.freeze();
        // More calls at once than there are connections, in each state.
        let calls: Vec<_> = (0..40)
            .map(|index| {
                let (store, key) = (Arc::clone(&store), key(format!("frozen {round} {index}")));
                tokio::spawn(async move { in_time("a claim of many", store.claim(request(&key, 1))).await.is_err() })
            })
            .collect();
        for call in calls {
            assert!(call.await.unwrap(), "answered by a frozen server");
        }
        all_fail_in_time(&store, &key(format!("absent {round}")), token).await;
        server.thaw();
        all_operations_work(&store, &format!("thawed {round}")).await;
        assert!(store.complete(&held, token, RETENTION).await.unwrap(), "what was held is held");
        // Each answer is the answer to its own question.
        for index in 0..40 {
            let key = key(format!("frozen {round} {index}"));
            let token = win(&store, &key, 2).await;
            assert!(store.complete(&key, token, RETENTION).await.unwrap());
            let other = ClaimRequest::new(&key, Fingerprint::from_bytes([2; 32]), Nonce::new(3), LEASE, RETENTION);
            assert_eq!(store.claim(other).await.unwrap(), ClaimAnswer::Done { same_body: false });
            assert_eq!(store.claim(request(&key, 3)).await.unwrap(), DONE);
        }
    }
}

/// A claim that the server reads after its caller has given up is not made: it would block its
/// event for a lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claim_that_nobody_waits_for_is_not_made() {
    let server = PostgresServer::start();
    let store = store_of(&server).await;
    warm(&store, "").await;
    server.freeze();
    let claims: Vec<_> = (0..16)
        .map(|index| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.claim(request(&key(format!("late {index}")), 1)).await.is_err() })
        })
        .collect();
    for claim in claims {
        assert!(claim.await.unwrap());
    }
    server.thaw();
    // Until all the connections of before have come to their end, having read what was sent to
    // them.
    store.check().await.unwrap();
    circa_receiver_test_support::wait_until("the old connections end", || {
        server.sql("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()") == "0"
    });
    assert_eq!(server.sql("SELECT count(*) FROM circa_receiver_claims WHERE position('late'::bytea IN key) > 0"), "0");
}

/// A server that vanished never answers: neither the calls that wait for it nor the connections
/// that were being given back may keep a place in the pool, or the pool would be exhausted when the
/// server is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_says_nothing_keeps_no_place_in_the_pool() {
    let server = PostgresServer::start();
    // Not tested before they are lent: broken ones are found by the calls themselves.
    let pool = PgPoolOptions::new().max_connections(8).test_before_acquire(false).connect_lazy_with(options(&server));
    let store = Arc::new(PostgresStore::new(pool.clone()));
    store.migrate().await.unwrap();
    // In the midst of all that connections are used for.
    let made = Arc::new(Semaphore::new(0));
    let claims: Vec<_> = (0..32)
        .map(|task| {
            let (store, made) = (Arc::clone(&store), Arc::clone(&made));
            tokio::spawn(async move {
                for index in 0.. {
                    if store.claim(request(&key(format!("vanished {task} {index}")), 1)).await.is_err() {
                        break;
                    }
                    made.add_permits(1);
                }
            })
        })
        .collect();
    made.acquire_many(200).await.unwrap().forget();
    server.freeze();
    for claim in claims {
        claim.await.unwrap();
    }
    let started = Instant::now();
    // Idle ones are free to be lent. They are broken, which the call that they are lent to finds
    // out.
    while pool.size() as usize > pool.num_idle() {
        assert!(started.elapsed() < READY_WITHIN, "{} connections, {} idle", pool.size(), pool.num_idle());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.thaw();
    all_operations_work(&store, "found again").await;
}

/// Contract, section 7: a store that does not answer until 2 s before the ack deadline is 503; and
/// the sender's next attempt, when the store is back, is handled.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_delivery_to_a_frozen_store_is_503_in_time_and_the_next_is_handled() {
    let server = PostgresServer::start();
    let gate = Gate::open();
    let ack_deadline = Duration::from_secs(4);
    let store = PostgresStore::connect_lazy(&server.url()).unwrap();
    let endpoint = Endpoint::new(circa().dedup(store).ack_deadline(ack_deadline), gate.routes());
    PostgresStore::connect_lazy(&server.url()).unwrap().migrate().await.unwrap();
    for round in 0..2 {
        let before = endpoint.deliver(&Request::circa(&format!("evt_before_{round}"))).await;
        assert_eq!(answer(&before), HANDLED, "{:?}", endpoint.notes.all());
        let request = Request::circa(&format!("evt_{round}"));
        server.freeze();
        let started = Instant::now();
        assert_eq!(answer(&endpoint.deliver(&request).await), UNAVAILABLE);
        assert!(started.elapsed() < ack_deadline, "{:?}", started.elapsed());
        server.thaw();
        assert_eq!(answer(&endpoint.deliver(&request).await), HANDLED, "{:?}", endpoint.notes.all());
        assert_eq!(answer(&endpoint.deliver(&request).await), DUPLICATE);
    }
    assert_eq!(gate.started(), 4, "each event once");
}

type Call<'a> = Pin<Box<dyn Future<Output = Result<bool, StoreError>> + 'a>>;

/// All connections in the pool are broken after a restart, and no call fails for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_first_call_after_a_restart_is_answered() {
    let mut server = PostgresServer::start();
    let store = patient_store_of(&server).await;
    for operation in ["claim", "renew", "complete", "release", "forget", "check"] {
        warm(&store, operation).await;
        let (held, done) = (key(format!("{operation} held")), key(format!("{operation} done")));
        let token = win(&store, &held, 1).await;
        handle(&store, &done).await;
        server.restart();
        let call: Call<'_> = match operation {
            "claim" => Box::pin(async {
                Ok(store.claim(request(&held, 1)).await? == ClaimAnswer::Won(token)
                    && store.claim(request(&done, 2)).await? == DONE)
            }),
            "renew" => store.renew(&held, token, LEASE),
            "complete" => store.complete(&held, token, RETENTION),
            "release" => store.release(&held, token),
            "forget" => store.forget(&done),
            _ => Box::pin(async { store.check().await.map(|()| true) }),
        };
        let answer = call.await;
        assert!(matches!(answer, Ok(true)), "{operation}: {answer:?}");
    }
}

/// A call whose connection breaks behind its commit is repeated, and answers as it would have.
#[tokio::test]
async fn an_answer_that_was_lost_is_the_same_again() {
    let server = PostgresServer::start();
    let direct = patient_store_of(&server).await;
    let relay = Relay::to(server.port());
    let store = PostgresStore::connect_lazy(&server.url_through(&relay)).unwrap();
    let store = store.timeout(PATIENCE).max_connections(1);
    for operation in ["renew", "complete", "release", "forget"] {
        let call = async |key: &Key, token| match operation {
            "renew" => store.renew(key, token, LEASE).await,
            "complete" => store.complete(key, token, RETENTION).await,
            "release" => store.release(key, token).await,
            _ => store.forget(key).await,
        };
        let (held, nobody) = (key(format!("{operation} held")), key("nobody"));
        let token = win(&direct, &held, 1).await;
        if operation == "forget" {
            assert!(direct.complete(&held, token, RETENTION).await.unwrap());
        }
        // Prepares the statement: what is lost below is the answer to its execution.
        assert!(!call(&nobody, token).await.unwrap(), "{operation}");
        relay.lose_the_next_answer();
        let answer = call(&held, token).await;
        assert!(matches!(answer, Ok(true)) && relay.has_lost_it(), "{operation}: {answer:?}");
    }
}

/// As an administrator, a failover or an idle timeout does it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_were_ended_are_replaced() {
    let server = PostgresServer::start();
    let store = patient_store_of(&server).await;
    for round in 0..5 {
        warm(&store, &round.to_string()).await;
        server.sql(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'circa-receiver'",
        );
        all_operations_work(&store, &format!("ended {round}")).await;
    }
}

/// The first answer after a restart. A claim, a renewal and a `forget` that fail with "no
/// connection" were not sent, and can be repeated, however long the machine takes to make a
/// connection.
async fn patiently<T>(call: impl AsyncFn() -> Result<T, StoreError>) -> T {
    let started = Instant::now();
    loop {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => assert!(started.elapsed() < READY_WITHIN, "{error}"),
        }
    }
}

/// What was answered is on the disk, also in sessions that are set not to wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_answered_survives_a_crash() {
    let mut server = PostgresServer::start_with(&["synchronous_commit=off", "wal_writer_delay=10s"]);
    store_of(&server).await;
    for (name, options) in [("off", options(&server)), ("on", options(&server).options([("synchronous_commit", "on")]))]
    {
        let store = PostgresStore::new(pool(options, 4)).timeout(PATIENCE);
        for round in 0..5 {
            let at = |state: &str| key(format!("{name} {round} {state}"));
            let (held_key, done) = (at("held"), at("done"));
            let held = win(&store, &held_key, 1).await;
            server.restart();
            let renewed = patiently(async || store.renew(&held_key, held, LEASE).await).await;
            assert!(renewed, "{name}, {round}: a claim was forgotten");
            handle(&store, &done).await;
            server.restart();
            assert_eq!(patiently(async || store.claim(request(&done, 2)).await).await, DONE, "{name}, {round}");
            assert!(store.forget(&done).await.unwrap());
            server.restart();
            let ClaimAnswer::Won(again) = patiently(async || store.claim(request(&done, 2)).await).await else {
                panic!("{name}, {round}: what was forgotten is done")
            };
            assert!(again > held, "{name}, {round}: a token came again");
        }
    }
}

/// A call that is dropped in the middle leaves no connection behind that answers the wrong
/// question, and takes no place in the pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_are_dropped_leave_the_pool_whole() {
    let server = PostgresServer::start();
    let pool = pool(options(&server), 2);
    let store = PostgresStore::new(pool.clone()).timeout(PATIENCE);
    store.migrate().await.unwrap();
    for round in 0..200_u64 {
        let dropped = key(format!("dropped {round}"));
        // Between less than a connection takes and more than a commit does.
        let within = Duration::from_micros(round * 25);
        let _ = tokio::time::timeout(within, store.claim(request(&dropped, 1))).await;
        let next = key(format!("next {round}"));
        let token = win(&store, &next, 1).await;
        assert!(store.complete(&next, token, RETENTION).await.unwrap(), "round {round}");
    }
    assert!(pool.size() <= 2, "{}", pool.size());
    circa_receiver_test_support::wait_until("dropped connections end", || {
        let open =
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        server.sql(open).parse::<u32>().unwrap() <= 2
    });
}

/// Each connection takes a second to open. A start waits for one; a call waits 400 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_that_opens_slowly_serves_later_calls() {
    let server = PostgresServer::start_with(&["post_auth_delay=1"]);
    let store = || PostgresStore::connect_lazy(&server.url()).unwrap().timeout(Duration::from_millis(800));
    store().migrate().await.unwrap();
    let store = store();
    let key = key("evt_slow");
    let deadline = Instant::now() + READY_WITHIN;
    let answer = loop {
        match store.claim(request(&key, 7)).await {
            Ok(answer) => break answer,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    };
    assert!(matches!(answer, ClaimAnswer::Won(_)), "{answer:?}");
}

/// A server that stands still: the kernel takes connections for it, and nothing answers. It has to
/// set up and end each of them later, before it sets up one that serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standstill_leaves_no_queue_of_half_open_connections() {
    const ROUNDS: usize = 10;
    // How many claims open at once: all but two, one at least, and one more, since a claim that has
    // given up leaves its permit to others where its connection may take long.
    for (connections, at_once) in [(2, 2), (4, 3)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://postgres@{}/postgres", listener.local_addr().unwrap());
        let store = PostgresStore::connect_lazy(&url).unwrap().max_connections(connections);
        let store = store.timeout(Duration::from_millis(100));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let takes = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                takes.lock().unwrap().push(connection);
            }
        });
        let started = Instant::now();
        for _ in 0..ROUNDS {
            let key = key("evt_still");
            let claim = |nonce| store.claim(request(&key, nonce));
            let answers = tokio::join!(claim(1), claim(2), claim(3), claim(4));
            assert!(matches!(answers, (Err(_), Err(_), Err(_), Err(_))), "{answers:?}");
        }
        // One that is opened beside another is given up after two seconds.
        let most = at_once * (2 + started.elapsed().as_secs() as usize / 2);
        let taken = taken.lock().unwrap().len();
        assert!((at_once..=most).contains(&taken), "of {connections}: {taken}, and at most {most}");
    }
}
