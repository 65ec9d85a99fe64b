//! Deliveries through the proxies that stand in front of receivers: nginx, HAProxy, Apache and
//! Caddy, each as its manual configures it.

use std::net::{Ipv4Addr, SocketAddr};

use circa_receiver_test_support::{Proxy, apache, caddy, haproxy, nginx};

use crate::support::{Answer, Process, REFERENCES, circa, event, nobody::Nobody, pulled_line, turn};

/// Starts a proxy in front of these ports.
type Start = fn(&[u16]) -> Proxy;

/// What becomes of a delivery for a receiver that does not listen.
#[derive(PartialEq)]
enum Failover {
    /// It goes to the other one.
    InTheProxy,
    /// It is answered 502, and the sender's next attempt goes to the other one.
    BySending,
}

/// A delivery comes through to each of the reference receivers, also after a reload, and where one
/// of two does not listen.
async fn deliveries_come_through(start: Start, failover: Failover) {
    let _turn = turn::unhurried().await;
    let [axum, actix] = [REFERENCES[0].start().await, REFERENCES[1].start().await];
    let nobody = Nobody::new();
    let port = |process: &Process| process.address.port();
    let mut proxy = start(&[port(&axum)]);
    assert_handled(&proxy, "evt_1", &send(&proxy, "evt_1").await);
    proxy.reload(&[port(&actix)]);
    assert_handled(&proxy, "evt_2", &send(&proxy, "evt_2").await);
    proxy.reload(&[nobody.port(), port(&actix)]);
    for id in ["evt_3", "evt_4", "evt_5", "evt_6"] {
        let mut answer = send(&proxy, id).await;
        if failover == Failover::BySending && answer.status == 502 {
            answer = send(&proxy, id).await;
        }
        assert_handled(&proxy, id, &answer);
    }
    // A process of before a reload may take a connection a moment later: which receiver handled an
    // event is the proxy's business, that each was handled once is ours.
    let (mut handled, after_reloads) = (axum.stop().await.stdout, actix.stop().await.stdout);
    assert!(!handled.is_empty() && !after_reloads.is_empty(), "{handled:?} {after_reloads:?}");
    handled.extend(after_reloads);
    handled.sort();
    assert_eq!(handled, ["evt_1", "evt_2", "evt_3", "evt_4", "evt_5", "evt_6"].map(pulled_line));
}

async fn send(proxy: &Proxy, id: &str) -> Answer {
    circa(event(id)).send(SocketAddr::from((Ipv4Addr::LOCALHOST, proxy.port()))).await
}

fn assert_handled(proxy: &Proxy, id: &str, answer: &Answer) {
    assert_eq!(answer.told(), (200, Some("handled")), "{id}: {answer:?}\n{}", proxy.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx() {
    deliveries_come_through(nginx::start, Failover::InTheProxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy() {
    deliveries_come_through(haproxy::start, Failover::InTheProxy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apache() {
    deliveries_come_through(apache::start, Failover::InTheProxy).await;
}

/// Its first delivery to a receiver that is gone is answered 502; then it leaves that receiver out.
#[tokio::test(flavor = "multi_thread")]
async fn caddy() {
    deliveries_come_through(caddy::start, Failover::BySending).await;
}
