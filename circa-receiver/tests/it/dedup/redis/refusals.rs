//! A server that cannot be used, or not in the way it was configured: an error that says so,
//! without the password.

use circa_receiver_test_support::redis::RedisServer;
use std::time::Duration;

use circa_receiver::{
    DedupStore, RedisStore,
    dedup::{StoreError, Token},
};

use tokio::time::Instant;

use super::{DONE, RETENTION, ask, claim, connected, event, every_call, place, store_of, win};

/// An error says what is wrong with the configuration, and never has the password.
#[tokio::test]
async fn wrong_urls_and_passwords_are_told_without_the_password() {
    let secured = RedisServer::start_with(&["--save", "", "--requirepass", "right-secret"]);
    let open = RedisServer::start();
    let (port, gone) = (secured.port(), circa_receiver_test_support::free_port());
    let rows = [
        ("no URL", "localhost".to_owned(), "not a URL of a Redis server"),
        ("another scheme", "http://:wrong-secret@localhost".to_owned(), "not a URL of a Redis server"),
        ("no port", "redis://:wrong-secret@localhost:port".to_owned(), "not a URL of a Redis server"),
        ("no database", "redis://:wrong-secret@localhost/first".to_owned(), "Invalid database number"),
        ("another database", format!("{}/99", open.url()), "cannot connect to Redis at 127.0.0.1"),
        ("wrong password", format!("redis://:wrong-secret@127.0.0.1:{port}"), "cannot connect to Redis at 127.0.0.1"),
        ("wrong user", format!("redis://mary:wrong-secret@127.0.0.1:{port}"), "cannot connect to Redis at 127.0.0.1"),
        ("no password", format!("redis://127.0.0.1:{port}"), "NOAUTH"),
        ("nobody there", format!("redis://:wrong-secret@127.0.0.1:{gone}"), "refused"),
        (
            "no such host",
            "redis://:wrong-secret@redis.invalid".to_owned(),
            "cannot connect to Redis at redis.invalid:6379",
        ),
    ];
    for (name, url, expected) in rows {
        let error = RedisStore::connect(&url).await.expect_err(name);
        for told in [format!("{error}"), format!("{error:?}")] {
            assert!(told.contains(expected), "{name}: {told}");
            assert!(!told.contains("secret"), "{name}: {told}");
        }
    }
    let url = format!("redis://:right-secret@127.0.0.1:{port}");
    let store = connected(|| RedisStore::connect(&url)).await;
    win(&store, &event(1), 1).await;
    assert!(!format!("{store:?}").contains("secret"), "{store:?}");
}

/// The start fails in time, with different errors for a server that does not answer and one that
/// refuses.
#[tokio::test]
async fn a_start_on_a_frozen_server_ends_in_time() {
    let server = RedisServer::start();
    server.freeze();
    tokio::time::pause();
    let started = Instant::now();
    let error = RedisStore::connect(&server.url()).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
    assert!(error.to_string().contains("no answer in time"), "{error}");
}

/// What the server refuses is a failure of the store, with the server's message; when it takes
/// writes again, so does the store.
#[tokio::test]
async fn what_the_server_refuses_is_an_error_until_it_does_not() {
    let server = RedisServer::start();
    let store = store_of(&server).await;
    let rows = [
        ("a full server", "OOM", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        ("a replica", "ReadOnly", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        ("no replica", "NOREPLICAS", "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"),
        ("a user without rights", "can't run this command", "ACL SETUSER default -set", "ACL SETUSER default +@all"),
    ];
    let order = |command: &str| ask::<()>(&server, &command.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    for (round, (name, expected, refuse, accept)) in rows.into_iter().enumerate() {
        let key = event(round as u64);
        order(refuse);
        for (call, error) in [("claim", claim(&store, &key, 1).await.err()), ("check", store.check().await.err())] {
            let told = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(told.contains(expected), "{name}, {call}: {told:?}");
        }
        order(accept);
        win(&store, &key, 1).await;
    }
}

/// What another program has written to an event's key is neither overwritten nor taken for a claim.
#[tokio::test]
async fn what_is_not_the_stores_own_is_an_error() {
    let server = RedisServer::start();
    let store = store_of(&server).await;
    let key = event(1);
    let rows: [(&str, &[u8]); 4] =
        [("empty", b""), ("text", b"hello"), ("digits", b"1234567890123456789"), ("a state alone", b"P")];
    for (name, value) in rows {
        ask::<()>(&server, &[b"SET", &place(&key), value]);
        assert!(matches!(claim(&store, &key, 1).await, Err(StoreError::Failed(_))), "{name}");
        assert!(!store.complete(&key, Token::new(1), RETENTION).await.unwrap(), "{name}");
        assert_eq!(ask::<Vec<u8>>(&server, &[b"GET", &place(&key)]), value, "{name}");
    }
    ask::<()>(&server, &[b"DEL", &place(&key)]);
    ask::<()>(&server, &[b"LPUSH", &place(&key), b"hello"]);
    for (name, error, _) in every_call(&store, &key, Token::new(1)).await {
        let of_the_key = !matches!(name, "claim" | "check");
        assert_eq!(matches!(error, Some(StoreError::Failed(_))), of_the_key, "{name}: {error:?}");
    }
    assert!(matches!(claim(&store, &key, 1).await, Err(StoreError::Failed(_))), "claim");
}

#[tokio::test]
async fn key_prefixes_keep_stores_apart() {
    let server = RedisServer::start();
    let key = event(1);
    for prefix in ["", "a", "ab", "a:", "{a}", "ü", "circa-receiver:x"] {
        let store = store_of(&server).await.key_prefix(prefix);
        let token = win(&store, &key, 1).await;
        assert!(store.complete(&key, token, RETENTION).await.unwrap(), "{prefix:?}");
        assert_eq!(claim(&store, &key, 2).await.unwrap(), DONE, "{prefix:?}");
        let place = [prefix.as_bytes(), key.as_bytes()].concat();
        assert_eq!(ask::<u32>(&server, &[b"EXISTS", &place]), 1, "{prefix:?}");
    }
    let other = store_of(&server).await;
    win(&other, &key, 1).await;
}
