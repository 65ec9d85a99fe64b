//! A server to be driven with `wrk`: `server <axum|actix> <candidate> <port>`, on one thread.
//!
//! Candidates: `bare` reads the body, `answer` does what no receiver can leave out, `naive` and
//! `careful` are receivers written by hand, `circa-receiver` is this crate's.
//! `POST /webhooks/circa` takes deliveries; `GET /count` says how many events were handled.

mod actix;
mod axum;
mod by_hand;

use std::sync::atomic::{AtomicU64, Ordering};

use circa_receiver::Receiver;
use circa_receiver_bench_support::secret;

/// Events handled.
static HANDLED: AtomicU64 = AtomicU64::new(0);

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [framework, candidate, port] = &arguments[..] else { panic!("usage: server <axum|actix> <candidate> <port>") };
    let port = port.parse().expect("the port is a number");
    match &framework[..] {
        "axum" => axum::serve(candidate, port),
        "actix" => actix::serve(candidate, port),
        other => panic!("no framework is called {other}"),
    }
}

fn receiver() -> Receiver {
    Receiver::circa(secret()).build().expect("the defaults")
}

/// What every candidate's handler does with an event.
fn handle<T>(event: &T) {
    std::hint::black_box(event);
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

fn count() -> String {
    HANDLED.load(Ordering::Relaxed).to_string()
}
