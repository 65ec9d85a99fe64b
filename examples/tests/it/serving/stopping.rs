//! Connections that hold on, health, and the stop (contract, section 1a and 8).

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use super::PATIENCE;
use crate::support::{CIRCA_SECRET, REFERENCES, Request, circa, event, pulled_line, read_answer_to, turn};

/// The drain deadline (20 s), a hard end of the drain (3 s) and of connections (2 s), and half a
/// second before them.
const ENDS_WITHIN: Duration = Duration::from_millis(25_500);

/// Half-sent heads, idle connections and a stuck client do not delay the end beyond the drain
/// deadline and the hard end.
#[tokio::test]
async fn whoever_holds_on_does_not_delay_the_stop() {
    let _turn = turn::unhurried().await;
    for reference in &REFERENCES {
        let mut process = reference.start_with(&[("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET), ("H2C", "")]).await;
        let mut held = Vec::new();
        for sent in ["", "POST /webhooks/circa HT", "POST /webhooks/circa HTTP/1.1\r\nHost: x\r\nX-"] {
            let mut stream = TcpStream::connect(process.address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            held.push(stream);
        }
        let stuck = circa(event("evt_1"));
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream.write_all(&[stuck.head(), stuck.framed_body()[..10].to_vec()].concat()).await.unwrap();
        held.push(stream);
        let told = Instant::now();
        process.signal("TERM").await;
        process.stopping().await;
        let ended = process.end().await;
        assert_eq!(ended.code, Some(0), "{}: {ended:?}", reference.name);
        println!("{}: ended after {:?}", reference.name, told.elapsed());
        assert!(told.elapsed() < ENDS_WITHIN, "{}: after {:?}", reference.name, told.elapsed());
    }
}

/// In the grace the receiver is not ready, lives, and takes deliveries; a second signal ends it at
/// once.
#[tokio::test]
async fn readiness_falls_at_once_and_a_second_signal_ends_the_grace() {
    for reference in &REFERENCES {
        let process = reference
            .start_with(&[("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET), ("GRACE_SECONDS", "3600"), ("H2C", "")])
            .await;
        let get = |path: &str| Request::post(path).method("GET");
        let ready = get("/readyz").send(process.address).await;
        assert_eq!((ready.status, &*ready.body), (200, "ok"), "{}", reference.name);
        process.signal("TERM").await;
        let fallen = async { while get("/readyz").send(process.address).await.status != 503 {} };
        timeout(PATIENCE, fallen).await.expect("readiness falls");
        assert_eq!(get("/livez").send(process.address).await.status, 200, "{}", reference.name);
        let delivery = circa(event("evt_1")).send(process.address).await;
        assert_eq!(delivery.told(), (200, Some("handled")), "{}", reference.name);
        process.signal("TERM").await;
        let ended = timeout(PATIENCE, process.end()).await.expect("it ends at once");
        assert_eq!(ended.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

/// Health is answered alike, whatever the method.
#[tokio::test]
async fn health_is_answered_alike() {
    let mut answers = Vec::new();
    for reference in &REFERENCES {
        let process = reference.start().await;
        let mut all = Vec::new();
        for path in ["/livez", "/readyz", "/healthz"] {
            for (method, status) in [("GET", 200), ("HEAD", 200), ("OPTIONS", 405), ("POST", 405)] {
                let mut stream = TcpStream::connect(process.address).await.unwrap();
                stream.write_all(&Request::post(path).method(method).head()).await.unwrap();
                let answer = read_answer_to(method, &mut stream).await.unwrap();
                assert_eq!(answer.status, status, "{} {method} {path}", reference.name);
                all.push((method, path, answer));
            }
        }
        answers.push(all);
    }
    assert_eq!(answers[0], answers[1]);
}
