//! `INBOX`: both references store an event before they answer it, and handle it afterwards.

use std::{process::Stdio, time::Duration};

use tokio::process::Command;

use crate::support::{CIRCA_SECRET, REFERENCES, Request, circa, event, lines, pulled_line, server::Server, turn};

/// A loaded machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

fn environment(store_url: &str, inbox: &str) -> [(&'static str, String); 3] {
    let secret = ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET.to_owned());
    [secret, ("STORE_URL", store_url.to_owned()), ("INBOX", inbox.to_owned())]
}

/// Contract, section 8a: turning the inbox on or off over the same database forgets nothing.
#[tokio::test]
async fn an_event_is_accepted_and_run_once_with_the_inbox_on_and_off() {
    let _turn = turn::unhurried().await;
    for server in [Server::sqlite(), Server::shared_postgres()] {
        let url = server.url();
        for reference in &REFERENCES {
            let (by_inbox, by_store) = (format!("inbox_{}", reference.name), format!("store_{}", reference.name));
            let mut process = reference.start_with(&environment(&url, "1")).await;
            let answer = circa(event(&by_inbox)).send(process.address).await;
            assert_eq!(answer.told(), (202, Some("accepted")), "{by_inbox} {url}");
            assert_eq!(process.line().await, pulled_line(&by_inbox), "{url}");
            assert_eq!(process.stop().await.stdout, Vec::<String>::new(), "{by_inbox} {url}: run again");

            let process = reference.start_with(&environment(&url, "")).await;
            let answers = [circa(event(&by_inbox)), circa(event(&by_store))];
            let [known, new] = [answers[0].send(process.address).await, answers[1].send(process.address).await];
            assert_eq!(known.told(), (200, Some("duplicate")), "{by_inbox} {url}");
            assert_eq!(new.told(), (200, Some("handled")), "{by_store} {url}");
            assert_eq!(process.stop().await.stdout, [pulled_line(&by_store)], "{url}");

            let process = reference.start_with(&environment(&url, "1")).await;
            for id in [&by_inbox, &by_store] {
                let answer = circa(event(id)).send(process.address).await;
                assert_eq!(answer.told(), (200, Some("duplicate")), "{id} {url}");
            }
            assert_eq!(process.stop().await.stdout, Vec::<String>::new(), "{url}: run again");
        }
    }
}

/// A receiver that only accepts, and a process without HTTP that runs what it has accepted.
#[tokio::test]
async fn a_worker_runs_what_receivers_have_accepted() {
    let _turn = turn::unhurried().await;
    for server in [Server::sqlite(), Server::shared_postgres()] {
        let url = server.url();
        for reference in &REFERENCES {
            let id = format!("evt_{}", reference.name);
            let receiver = reference.start_with(&environment(&url, "accept")).await;
            assert_eq!(circa(event(&id)).send(receiver.address).await.told(), (202, Some("accepted")), "{id} {url}");

            let mut worker = Command::new(env!("CARGO_BIN_EXE_worker"));
            worker.env("STORE_URL", &url).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
            let mut worker = worker.spawn().unwrap();
            let mut ran = lines(worker.stdout.take().unwrap());
            let next = tokio::time::timeout(PATIENCE, ran.recv()).await.expect("it runs");
            assert_eq!(next, Some(pulled_line(&id)), "{url}");
            assert_eq!(circa(event(&id)).send(receiver.address).await.told(), (200, Some("duplicate")), "{id} {url}");
            let terminate = format!("kill -TERM {}", worker.id().unwrap());
            assert!(Command::new("sh").args(["-c", &terminate]).status().await.unwrap().success());
            let ended = tokio::time::timeout(PATIENCE, worker.wait()).await.expect("it ends").unwrap();
            assert_eq!((ended.code(), ran.recv().await), (Some(0), None), "{url}");
            assert_eq!(receiver.stop().await.stdout, Vec::<String>::new(), "{id} {url}: it ran in the receiver");
        }
    }
}

#[tokio::test]
async fn an_inbox_that_would_lose_events_stops_the_start() {
    for reference in &REFERENCES {
        for url in ["memory:", "redis://localhost"] {
            let ended = reference.refuse(&environment(url, "1")).await;
            let said = ended.stderr.join("\n");
            assert_eq!(ended.code, Some(1), "{} {url}: {ended:?}", reference.name);
            assert!(said.contains("with INBOX it is sqlite: or postgres:"), "{} {url}: {said}", reference.name);
        }
    }
}

/// A load balancer goes elsewhere while the inbox does not answer, and comes back.
#[tokio::test]
async fn a_receiver_whose_inbox_is_away_is_not_ready() {
    let _turn = turn::unhurried().await;
    for reference in &REFERENCES {
        let server = Server::postgres();
        let process = reference.start_with(&environment(&server.url(), "1")).await;
        let ready = async |status: u16| {
            while Request::post("/readyz").method("GET").send(process.address).await.status != status {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let in_time = async |status| {
            tokio::time::timeout(PATIENCE, ready(status))
                .await
                .unwrap_or_else(|_| panic!("{} {status}", reference.name))
        };
        in_time(200).await;
        server.freeze();
        in_time(503).await;
        server.thaw();
        in_time(200).await;
        assert_eq!(circa(event("evt_1")).send(process.address).await.told(), (202, Some("accepted")));
        process.stop().await;
    }
}
