//! The simulated sender over real HTTP: an axum server on a socket of its own, on the real clock.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode};
use circa_receiver::{
    Receiver, Secret,
    testing::{
        CircaSigner, CircaSimulator, Faults, HandlerRuns, HttpTarget, MountFault, assert_mounted, check_mounted,
    },
};
use circa_receiver_axum::{AnyEvent, webhook};
use tokio::{
    net::{TcpListener, TcpSocket},
    time::timeout,
};

const PATH: &str = "/webhooks/circa";
const SECRET: &str = "whsec_test_0123456789abcdef";
const EVENTS: usize = 10;
const SEEDS: u64 = 4;

/// 32 hours in 1.1 s.
const DIVISOR: u32 = 100_000;

/// Far more than any of this takes: a test that hangs fails.
const TOO_LONG: Duration = Duration::from_secs(300);

/// Fails on the first run of one event.
async fn handle(State(runs): State<HandlerRuns>, event: AnyEvent) -> StatusCode {
    let run = runs.start(event.id());
    if event.id() == "evt_3" && runs.started(event.id()) == 1 {
        run.fail();
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    run.succeed();
    StatusCode::NO_CONTENT
}

/// Serves until the test's runtime ends.
async fn serve(runs: &HandlerRuns) -> HttpTarget {
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).build().unwrap();
    let app = Router::new().route(PATH, webhook(receiver).fallback(handle).with_state(runs.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    HttpTarget::new(&address.to_string())
}

/// An address at which nothing listens: connections to it are refused. The socket keeps others from
/// listening there.
fn dead() -> (TcpSocket, HttpTarget) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, HttpTarget::new(&address))
}

/// Contract, sections 7 and 8: an event is handled once, and what failed is handled when it comes
/// again.
#[tokio::test]
async fn nothing_is_lost_or_handled_twice_over_sockets() {
    let mut retries = 0;
    for seed in 0..SEEDS {
        let runs = HandlerRuns::default();
        let faults = Faults::none().answers_lost().twice_at_once();
        let simulator = CircaSimulator::new(PATH, SECRET).seed(seed).faults(faults).schedule_divided_by(DIVISOR);
        let ledger = timeout(TOO_LONG, simulator.run(serve(&runs).await, &runs)).await.unwrap();
        ledger.assert_nothing_lost();
        ledger.assert_once();
        ledger.assert_nothing_cut_off();
        ledger.assert_enabled();
        assert_eq!(runs.started("evt_3"), 2, "seed {seed}: failed, and handled when it came again");
        let attempts: usize = (0..EVENTS).map(|n| ledger.attempts(&format!("evt_{n}"))).sum();
        retries += attempts - EVENTS;
    }
    assert!(retries > SEEDS as usize, "only the failures were retried: no answer was lost");
}

/// Circa documentation, Webhooks: seven attempts, then dropped.
#[tokio::test]
async fn a_dead_address_ends_in_dropped_events() {
    let runs = HandlerRuns::default();
    // So few that the endpoint is not disabled before.
    let simulator = CircaSimulator::new(PATH, SECRET).count(2).schedule_divided_by(DIVISOR);
    let (_socket, dead) = dead();
    let ledger = timeout(TOO_LONG, simulator.run(dead, &runs)).await.expect("a refused connection ends at once");
    for id in ["evt_0", "evt_1"] {
        assert!(ledger.was_dropped(id), "{id}");
        assert_eq!((ledger.attempts(id), runs.started(id)), (7, 0), "{id}");
    }
}

/// The probes go over sockets too, a body of 1 MiB among them.
#[tokio::test]
async fn a_mounted_receiver_is_found_over_sockets() {
    let signer = CircaSigner::new(SECRET);
    assert_mounted(serve(&HandlerRuns::default()).await, PATH, &signer).await;
    let (_socket, dead) = dead();
    assert_eq!(check_mounted(dead, PATH, &signer).await, Err(MountFault::NoAnswer));
}
