//! How soon an accepted event starts.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use circa_receiver::{AnyEvent, HandlerError, Receiver, Routes, Secret, SqliteInbox, testing::CircaSigner};
use tokio::sync::mpsc;

use super::Folder;
use crate::support::receiving::{SECRET, circa_body};

const EVENTS: usize = 200;

/// Contract, section 8a, and design: an idle worker of the same process is woken, and one of
/// another process looks every 200 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_event_starts_soon() {
    for (name, is_shared, most) in [("one process", true, 150), ("two processes", false, 1_000)] {
        let folder = Folder::new();
        let open = || Arc::new(SqliteInbox::open(folder.file()).unwrap());
        let accepting = open();
        let working = if is_shared { Arc::clone(&accepting) } else { open() };
        let receiver =
            |inbox: Arc<SqliteInbox>| Receiver::circa(Secret::new(SECRET).unwrap()).inbox(inbox).build().unwrap();
        let (receiver, beside) = (receiver(accepting), receiver(working));
        let (started, mut starts) = mpsc::unbounded_channel();
        let routes = Routes::new().fallback(move |_: AnyEvent, (): ()| {
            let sent = started.send(Instant::now());
            async move { sent.map_err(HandlerError::retryable) }
        });
        let running = tokio::spawn(beside.worker(routes.clone(), ()).unwrap().build().unwrap().run());
        let mut waits = Vec::new();
        for event in 0..if is_shared { EVENTS } else { EVENTS / 10 } {
            let body = circa_body(&format!("evt_{event}"));
            let signature = CircaSigner::new(SECRET).sign_now(body.as_bytes());
            let head = ("POST", &[("circa-signature", signature.as_bytes())][..]);
            assert_eq!(receiver.handle(&head, body.clone(), &routes, ()).await.status(), 202, "{name}");
            let accepted = Instant::now();
            waits.push(starts.recv().await.unwrap().saturating_duration_since(accepted));
        }
        waits.sort_unstable();
        let (median, p99) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
        println!("{name}: from the answer to the start p50 {median:?}, p99 {p99:?}");
        // Far above what an idle machine takes: 20 ms and 300 ms at most.
        assert!(median <= Duration::from_millis(most), "{name}: {median:?}");
        beside.shutdown().await;
        running.await.unwrap();
    }
}
