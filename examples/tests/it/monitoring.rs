//! `examples/monitoring`: the alerts fire when they should, each leads to a section of the
//! documentation, and each query of the dashboard finds data of a real receiver.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};

use circa_receiver::{Sender, testing::CircaSigner};
use circa_receiver_test_support::{free_port, run};
use serde_json::Value;

use crate::support::{
    CIRCA_SECRET, CIRCULARO_SECRET, REFERENCES, Request, circa, event,
    prometheus::{INSTALL, PATIENCE, Prometheus, file, folder, values},
    server::Server,
};

#[test]
fn every_alert_fires_when_it_should() {
    run(Command::new("promtool").args(["check", "config", "prometheus.yml"]).current_dir(folder()), INSTALL);
    run(Command::new("promtool").args(["test", "rules", "alerts.test.yml"]).current_dir(folder()), INSTALL);
    let alerts = values(&file("alerts.yml"), "alert");
    assert!(alerts.len() >= 15, "{alerts:?}");
    assert_eq!(values(&file("alerts.test.yml"), "name"), alerts, "each has its test");
}

#[test]
fn every_alert_leads_to_a_section() {
    let runbooks = values(&file("alerts.yml"), "runbook");
    assert_eq!(runbooks.len(), values(&file("alerts.yml"), "alert").len());
    for runbook in runbooks {
        let (page, anchor) = runbook.split_once('#').unwrap();
        let page = fs::read_to_string(folder().join("../..").join(page)).unwrap();
        assert!(crate::documentation::anchors(&page).iter().any(|known| known == anchor), "{runbook}");
    }
}

fn queries() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap().clone());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// Stale by an hour.
fn stale(id: &str) -> Request {
    let body = event(id);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let signature = CircaSigner::new(CIRCA_SECRET).sign(i64::try_from(now).unwrap() - 3_600, body.as_bytes());
    Request::post("/webhooks/circa").header("Circa-Signature", signature).body(body)
}

/// Two receivers of each framework, the second one with an inbox, with a failure of each kind that
/// a panel shows: nothing for Circularo is signed with its secret, a delivery of Circa's is stale,
/// one has another's id.
#[tokio::test]
async fn every_query_finds_data_of_a_real_receiver() {
    for reference in &REFERENCES {
        let metrics = [(); 2].map(|()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
        let server = Server::sqlite();
        let environment = |metrics: SocketAddr, inbox: &str| {
            [
                ("METRICS_BIND", metrics.to_string()),
                ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET.to_owned()),
                ("CIRCULARO_HMAC_SECRET", CIRCULARO_SECRET.to_owned()),
                ("STORE_URL", server.url()),
                ("INBOX", inbox.to_owned()),
            ]
        };
        let receiver = reference.start_with(&environment(metrics[0], "")).await;
        let with_inbox = reference.start_with(&environment(metrics[1], "1")).await;
        let prometheus = Prometheus::start(&metrics);
        let other_body = event("evt_0").replace('}', " }");
        let forged = Request::post("/webhooks/circularo")
            .header(Sender::CIRCULARO.signature_header(), "0".repeat(64))
            .body("{}");
        let all_found = async {
            for number in 0.. {
                assert_eq!(circa(event(&format!("evt_{number}"))).send(receiver.address).await.status, 200);
                assert_eq!(stale("evt_stale").send(receiver.address).await.status, 401);
                assert_eq!(circa(other_body.clone()).send(receiver.address).await.status, 200);
                assert_eq!(forged.send(receiver.address).await.status, 401);
                if prometheus.missing(&queries()).await.is_empty() {
                    return;
                }
                // Prometheus scrapes once a second.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(PATIENCE, all_found).await.expect("every query finds data");
        receiver.stop().await;
        with_inbox.stop().await;
    }
}

/// Metrics that were asked for and cannot be served stop the start, with what to do.
#[tokio::test]
async fn an_address_that_cannot_be_used_stops_the_start() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for reference in &REFERENCES {
        for (bind, message) in [("nowhere", "METRICS_BIND was refused"), (taken.as_str(), taken.as_str())] {
            let secret = ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET);
            let ended = reference.refuse(&[secret, ("METRICS_BIND", bind)]).await;
            assert!(matches!(ended.code, Some(1 | 2)), "{} {bind}: {ended:?}", reference.name);
            assert!(ended.stderr.iter().any(|line| line.contains(message)), "{} {bind}: {ended:?}", reference.name);
        }
    }
}
