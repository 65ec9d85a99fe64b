//! Deliveries of all kinds through proxies, and a rolling restart behind them, as the sender sees
//! it.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use circa_receiver_test_support::{Proxy, apache, caddy, free_port, haproxy, nginx};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::{JoinSet, block_in_place},
    time::{MissedTickBehavior, interval},
};

use crate::support::{
    CIRCA_SECRET, Process, REFERENCES, Reference, Request, circa, event, event_of_size, forged, turn,
};

/// Deliveries of a mixed run: so many, or `DELIVERIES`.
const DELIVERIES: usize = 1_000;

/// So many at a time.
const AT_ONCE: usize = 4;

/// About 11 events a second. Not a divisor of the grace: a connection that arrives in the very
/// moment in which a listener closes is reset, and HAProxy sends no POST twice.
const EVERY: Duration = Duration::from_millis(89);

fn through(proxy: &Proxy) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, proxy.port()).into()
}

/// A delivery of each kind in turn, and the status that the sender must see.
fn mixed(number: usize) -> (Request, u16) {
    let id = format!("evt_{number}");
    match number % 5 {
        0 => (circa(event(&id)), 200),
        1 => (forged(&event_of_size(&id, 100_000)), 401),
        2 => (circa(event_of_size(&id, 1_200_000)), 413),
        3 => (circa(event(&id)).header("Content-Encoding", "gzip"), 415),
        _ => (Request::post("/webhooks/circa").body("x".repeat(200_000)), 401),
    }
}

/// The sender sees the statuses of the contract's table, and no receiver is taken out.
async fn the_sender_sees_the_table(start: fn(&[u16]) -> Proxy) {
    let _turn = turn::unhurried().await;
    let deliveries = std::env::var("DELIVERIES").map_or(DELIVERIES, |number| number.parse().unwrap());
    for reference in &REFERENCES {
        let replicas = [reference.start().await, reference.start().await];
        let proxy = start(&[replicas[0].address.port(), replicas[1].address.port()]);
        let address = through(&proxy);
        // Beside them, bodies that stall.
        let mut stalled = Vec::new();
        for _ in 0..deliveries / 5 {
            let request = forged(&event("evt_stalled"));
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&[request.head(), request.framed_body()[..10].to_vec()].concat()).await.unwrap();
            stalled.push(stream);
        }
        let mut senders = JoinSet::new();
        for first in 0..AT_ONCE {
            senders.spawn(async move {
                let mut seen = Vec::new();
                for number in (first..deliveries).step_by(AT_ONCE) {
                    let (request, status) = mixed(number);
                    let answer = request.attempt(address).await.map(|answer| answer.status);
                    seen.push((number, answer, Some(status)));
                }
                seen
            });
        }
        let seen: Vec<_> = senders.join_all().await.into_iter().flatten().collect();
        let wrong: Vec<_> = seen.iter().filter(|(_, seen, expected)| seen != expected).collect();
        println!("{}: {} of {deliveries} statuses as in the table", reference.name, deliveries - wrong.len());
        assert!(wrong.is_empty(), "{}: {wrong:?}\n{}", reference.name, proxy.log());
        drop(stalled);
        for replica in replicas {
            let handled = replica.stop().await.stdout.len();
            assert!(handled > 0, "{}: a replica got nothing", reference.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_shows_the_table() {
    the_sender_sees_the_table(nginx::start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_shows_the_table() {
    the_sender_sees_the_table(haproxy::start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apache_shows_the_table() {
    the_sender_sees_the_table(apache::start).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_shows_the_table() {
    the_sender_sees_the_table(caddy::start).await;
}

async fn on_port(reference: &Reference, port: u16) -> Process {
    let bind = format!("127.0.0.1:{port}");
    let environment =
        [("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET), ("BIND", bind.as_str()), ("GRACE_SECONDS", "3"), ("H2C", "")];
    reference.start_with(&environment).await
}

/// How a proxy comes to send nothing to a receiver that stops.
#[derive(PartialEq)]
enum TakenOut {
    /// The proxy finds out, and that it is back too.
    ByChecks,
    /// By the deployment, in the grace: without checks nginx leaves a receiver out for 10 s once it
    /// was gone, and has none left where the other one stops within that time.
    ByReload,
}

/// Two receivers are restarted one after the other while 11 events a second come: the sender sees
/// nothing but 2xx.
async fn a_rolling_restart_shows_only_2xx(start: fn(&[u16]) -> Proxy, taken_out: TakenOut) {
    let _turn = turn::unhurried().await;
    for reference in &REFERENCES {
        let ports = [free_port(), free_port()];
        let mut replicas = vec![on_port(reference, ports[0]).await, on_port(reference, ports[1]).await];
        let mut proxy = start(&ports);
        let address = through(&proxy);
        let (over, is_over) = tokio::sync::watch::channel(false);
        let sender = tokio::spawn(async move {
            let (mut every, mut sent) = (interval(EVERY), JoinSet::new());
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while !*is_over.borrow() {
                every.tick().await;
                let delivery = circa(event(&format!("evt_{}", sent.len())));
                sent.spawn(async move { delivery.attempt(address).await.map(|answer| answer.status) });
            }
            sent.join_all().await
        });
        for (port, other) in [(ports[0], ports[1]), (ports[1], ports[0])] {
            let old = replicas.remove(0);
            old.signal("TERM").await;
            if taken_out == TakenOut::ByReload {
                block_in_place(|| proxy.reload(&[other]));
            }
            let ended = old.end().await;
            assert_eq!(ended.code, Some(0), "{}: {ended:?}", reference.name);
            replicas.push(on_port(reference, port).await);
            if taken_out == TakenOut::ByReload {
                block_in_place(|| proxy.reload(&ports));
            }
        }
        over.send_replace(true);
        let statuses = sender.await.unwrap();
        println!("{}: {} deliveries", reference.name, statuses.len());
        assert!(statuses.len() > 20, "{}: {statuses:?}", reference.name);
        assert!(
            statuses.iter().all(|status| *status == Some(200)),
            "{}: {statuses:?}\n{}",
            reference.name,
            proxy.log()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_hides_a_rolling_restart() {
    a_rolling_restart_shows_only_2xx(nginx::start, TakenOut::ByReload).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_hides_a_rolling_restart() {
    a_rolling_restart_shows_only_2xx(haproxy::start, TakenOut::ByChecks).await;
}
