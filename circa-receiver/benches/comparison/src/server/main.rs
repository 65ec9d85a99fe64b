//! A server to be driven with `wrk`: `server <axum|actix> <candidate> <port>`.
//!
//! Candidates: `bare` reads the body, and no more; `answer` does what no receiver can leave out; `naive` is a receiver written by hand as the vendor's page
//! describes it, `careful` one written by hand with care; `circa-receiver` is this crate's.
//!
//! One thread serves. `POST /webhooks/circa` takes deliveries; `GET /count` tells how many events were handled.

mod actix;
mod axum;
mod careful;
mod least;
mod naive;

use std::sync::atomic::{AtomicU64, Ordering};

use circa_receiver::Receiver;
use circa_receiver_bench_support::secret;

/// The route of deliveries.
const PATH: &str = "/webhooks/circa";

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
