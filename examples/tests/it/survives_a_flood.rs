//! Floods: of forged deliveries, and of connections.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use crate::support::{Answer, REFERENCES, circa, event, event_of_size, forged, pulled_line, read_answer, turn};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet, time::timeout};

const MIB: usize = 1_024 * 1_024;

/// A hang fails the test instead of blocking it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Contract, section 1, check 5: "a place among the requests in flight (default 256)", else 503;
/// "No input makes the receiver panic, answer 5xx for the sender's fault, or hang."
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_forged_bodies_of_1_mib_at_once() {
    let _turn = turn::alone().await;
    for reference in &REFERENCES {
        let process = reference.start().await;
        let request = Arc::new(forged(&event_of_size("evt_1", MIB)));
        let mut senders = JoinSet::new();
        for _ in 0..1_000 {
            let (request, address) = (request.clone(), process.address);
            senders.spawn(async move { request.try_send(address).await });
        }
        let mut answers = BTreeMap::new();
        while let Some(answer) = senders.join_next().await {
            *answers.entry(answer.unwrap().map(|answer| answer.status)).or_insert(0) += 1;
        }
        println!("{}: {answers:?}", reference.name);
        // 408 where the load made a body late; None where the connection was reset before the
        // answer was read, which happens when a server closes without having read the rest of a
        // refused body.
        let allowed = [Some(401), Some(503), Some(408), None];
        assert!(answers.keys().all(|answer| allowed.contains(answer)), "{}: {answers:?}", reference.name);
        let read = answers.keys().filter(|answer| [Some(401), Some(408)].contains(answer));
        assert!(read.count() > 0, "{}: some had a place: {answers:?}", reference.name);
        // Answers that were lost may still be under way, and hold their places.
        let answer =
            timeout(PATIENCE, until_there_is_a_place("evt_1", process.address)).await.expect("a place comes free");
        assert_eq!(answer.told(), (200, Some("handled")), "{}", reference.name);
        assert_eq!(process.stop().await.stdout, [pulled_line("evt_1")], "{}", reference.name);
    }
}

/// A thousand connections at once get in, even while the process is held and accepts none.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_connections_wait_to_be_accepted() {
    let _turn = turn::alone().await;
    for reference in &REFERENCES {
        let process = reference.start().await;
        process.signal("STOP").await;
        let mut senders = JoinSet::new();
        for n in 0..1_000 {
            let address = process.address;
            senders.spawn(async move {
                let stream = timeout(PATIENCE, TcpStream::connect(address)).await;
                let mut stream = stream.expect("the connection waits in the backlog").unwrap();
                // Sent while the process is held: a server may close a connection that says nothing
                // for some seconds.
                let request = circa(event(&format!("evt_{n}")));
                stream.write_all(&[request.head(), request.framed_body()].concat()).await.unwrap();
                (n, stream)
            });
        }
        let streams = senders.join_all().await;
        process.signal("CONT").await;
        for (n, mut stream) in streams {
            let mut answer = read_answer(&mut stream).await.expect("an answer");
            // More at once than there are places: the sender comes again.
            if answer.status == 503 {
                let id = format!("evt_{n}");
                let again = timeout(PATIENCE, until_there_is_a_place(&id, process.address));
                answer = again.await.expect("a place comes free");
            }
            assert_eq!(answer.told(), (200, Some("handled")), "{} {n}", reference.name);
        }
        let ended = process.stop().await;
        assert_eq!((ended.code, ended.stdout.len()), (Some(0), 1_000), "{}", reference.name);
    }
}

/// The event's delivery, again and again while all places are taken.
async fn until_there_is_a_place(id: &str, address: SocketAddr) -> Answer {
    loop {
        let answer = circa(event(id)).send(address).await;
        if answer.status != 503 {
            return answer;
        }
    }
}
