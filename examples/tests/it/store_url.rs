//! `STORE_URL`: each of its forms works, and what is wrong with it stops the start with what to do,
//! and without the password.

use crate::support::{
    CIRCA_SECRET, Ended, REFERENCES, circa, event,
    nobody::Nobody,
    pulled_line,
    server::{RedisCluster, Server},
    turn,
};

const FORMS: [&str; 4] = ["memory:", "sqlite:PATH", "redis://", "postgres://"];

/// In every URL with one: no message may hold it, nor a part of it.
const PASSWORD: &str = "hunter2";

fn environment(store_url: &str) -> [(&'static str, String); 2] {
    [("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET.to_owned()), ("STORE_URL", store_url.to_owned())]
}

/// What one process has handled, the next one knows, where the store outlives it.
#[tokio::test]
async fn each_form_is_a_store() {
    let _turn = turn::unhurried().await;
    let servers = [Server::redis(), Server::shared_postgres(), Server::sqlite()];
    let urls = servers.iter().map(|server| (server.url(), "duplicate"));
    let cluster = RedisCluster::start();
    let others = [(cluster.urls().join(","), "duplicate"), ("memory:".to_owned(), "handled")];
    for (url, after_a_restart) in urls.chain(others) {
        for reference in &REFERENCES {
            let id = reference.name;
            for outcome in ["handled", after_a_restart] {
                let process = reference.start_with(&environment(&url)).await;
                let answer = circa(event(id)).send(process.address).await;
                assert_eq!(answer.told(), (200, Some(outcome)), "{id} {url}");
                let lines = if outcome == "handled" { vec![pulled_line(id)] } else { vec![] };
                assert_eq!(process.stop().await.stdout, lines, "{id} {url}");
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_url_stops_the_start_and_says_what_to_do() {
    let nobody = Nobody::new();
    let rediss = if cfg!(feature = "tls") { "cannot connect to Redis" } else { "needs the feature `tls`" };
    let cases = [
        ("hunter2", "none of the known schemes"),
        ("mysql://me:hunter2@localhost/app", "none of the known schemes"),
        (" memory:", "white space"),
        ("memory:hunter2", "nothing may stand behind"),
        ("sqlite:", "is empty"),
        ("sqlite://", "is empty"),
        ("sqlite:/no/such/folder/claims.sqlite", "the directory /no/such/folder does not exist"),
        ("sqlite:/dev/null/claims.sqlite", "/dev/null does not exist"),
        ("redis:", "`//` must follow"),
        ("redis://", "no host"),
        ("redis://:hunter2@", "not a URL of a Redis server"),
        ("redis://:hunter2@localhost:port", "not a URL of a Redis server"),
        ("redis://:hunter2@localhost:65536", "not a URL of a Redis server"),
        ("redis://:hunter2@localhost/first", "not a URL of a Redis server"),
        ("redis://me:12#hunter2@localhost", "%23"),
        ("redis://localhost,hunter2@localhost", "%2C"),
        ("redis://:hunter2@127.0.0.1:NOBODY", "cannot connect to Redis at 127.0.0.1:NOBODY"),
        ("redis://:hunter2@127.0.0.1:NOBODY,redis://:hunter2@127.0.0.1:NOBODY", "cannot connect to Redis"),
        ("rediss://:hunter2@127.0.0.1:NOBODY", rediss),
        ("postgres:", "`//` must follow"),
        ("postgres://", "no host"),
        ("postgres://me:hunter2@localhost:port/app", "the PostgreSQL URL cannot be read"),
        ("postgres://me:hunter2@localhost:65536/app", "the PostgreSQL URL cannot be read"),
        ("postgres://me:hunter2@localhost/app?sslmode=perhaps", "the PostgreSQL URL cannot be read"),
        ("postgresql://me:12/hunter2@localhost/app", "%2F"),
        ("postgresql://me:hunter2@127.0.0.1:NOBODY/app", "PostgreSQL: no connection"),
    ];
    for reference in &REFERENCES {
        for (url, what) in cases {
            let [url, what] = [url, what].map(|text| text.replace("NOBODY", &nobody.port().to_string()));
            let ended = reference.refuse(&environment(&url)).await;
            assert_refused(&format!("{} {url:?}", reference.name), &ended, &what);
        }
    }
}

/// What only the server can tell.
#[tokio::test]
async fn a_server_that_refuses_stops_the_start() {
    let (redis, postgres) = (Server::redis(), Server::shared_postgres());
    let missing = format!("{}_of_nobody", postgres.url());
    let database = missing.rsplit('/').next().unwrap();
    let cases = [
        (redis.url().replace("redis://", "redis://:hunter2@"), "Password authentication failed"),
        (postgres.url().replace("postgres@", "nobody:hunter2@"), "role \"nobody\" does not exist"),
        (missing.clone(), &format!("database \"{database}\" does not exist")),
    ];
    for reference in &REFERENCES {
        for (url, what) in &cases {
            assert_refused(&format!("{} {url:?}", reference.name), &reference.refuse(&environment(url)).await, what);
        }
    }
}

fn assert_refused(case: &str, ended: &Ended, what: &str) {
    let said = ended.stderr.join("\n");
    assert_eq!(ended.code, Some(1), "{case}: {ended:?}");
    assert!(ended.stdout.is_empty(), "{case}: {ended:?}");
    assert!(said.contains("STORE_URL") && said.contains(what), "{case}: {said}");
    assert!(FORMS.iter().all(|form| said.contains(form)), "{case}: {said}");
    assert!(!said.contains(PASSWORD), "{case}: {said}");
}

/// Contract, section 4: "lease not longer than the ack deadline: error".
#[tokio::test]
async fn a_wrong_lease_stops_the_start() {
    for reference in &REFERENCES {
        for (lease, what) in [("10", "the lease must be longer"), ("1m", "LEASE_SECONDS")] {
            let secret = ("CIRCA_WEBHOOK_SECRET", CIRCA_SECRET);
            let ended = reference.refuse(&[secret, ("LEASE_SECONDS", lease)]).await;
            assert_eq!(ended.code, Some(1), "{} {lease:?}: {ended:?}", reference.name);
            assert!(ended.stderr.join("\n").contains(what), "{} {lease:?}: {ended:?}", reference.name);
        }
    }
}
