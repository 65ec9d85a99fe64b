//! A sender that sends a byte now and then, so that only the receiver's read deadline ends the
//! delivery.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{io::AsyncWriteExt, net::TcpStream, time::interval};

use super::{Answer, circa, event, read_answer, slowest_answer_during};

/// The receivers' read deadline, by default.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(10);

/// Between two bytes: the whole body would take minutes.
const EVERY: Duration = Duration::from_millis(500);

/// How a delivery that drips was answered.
pub(crate) struct Dripped {
    pub(crate) answer: Answer,
    /// From before the connection to the end of the answer.
    pub(crate) took: Duration,
    /// See [`slowest_answer_during`].
    pub(crate) slowest: Duration,
}

/// Drips `evt_1` until it is answered.
pub(crate) async fn drip(address: SocketAddr) -> Dripped {
    let started = Instant::now();
    let (answer, slowest) = slowest_answer_during(address, answer_to_a_drip(address)).await;
    Dripped { answer, took: started.elapsed(), slowest }
}

async fn answer_to_a_drip(address: SocketAddr) -> Answer {
    let request = circa(event("evt_1"));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request.head()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let drip = async {
        let mut every = interval(EVERY);
        for byte in request.framed_body() {
            every.tick().await;
            // Once the receiver has refused it may have closed: the answer counts, not the write.
            let _ = writer.write_all(&[byte]).await;
        }
    };
    tokio::select! {
        answer = read_answer(&mut reader) => answer.expect("an answer"),
        () = drip => panic!("the body was taken though it was late"),
    }
}
