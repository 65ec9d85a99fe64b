//! A server to be driven with `wrk`: `server <axum|actix> <candidate> <port>`, the secret in `SECRET`.
//!
//! One thread serves. `POST /webhooks/circa` takes deliveries; `GET /count` tells how many events were handled.

mod actix;
mod axum;
mod careful;
mod naive;
mod rungs;

use circa_receiver::{CompactMemoryStore, Receiver, Secret};
use rungs::Rung;
use std::sync::atomic::{AtomicU64, Ordering};

/// The route of deliveries.
const PATH: &str = "/webhooks/circa";

/// Events handled.
static HANDLED: AtomicU64 = AtomicU64::new(0);

/// What stands behind the route.
#[derive(Clone, Copy)]
enum Candidate {
    /// Reads the body, and no more.
    Bare,
    /// A receiver written by hand as the vendor's page describes it.
    Naive,
    /// One written by hand with care.
    Careful,
    /// The parts that no receiver can leave out, up to this one.
    UpTo(Rung),
    /// This crate's, with the faster of its memory stores.
    Ours,
    /// This crate's, with the memory store that it has unless told otherwise.
    OursByDefault,
}

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [framework, candidate, port] = &arguments[..] else { panic!("usage: server <axum|actix> <candidate> <port>") };
    let candidate = match &candidate[..] {
        "bare" => Candidate::Bare,
        "naive" => Candidate::Naive,
        "careful" => Candidate::Careful,
        "verify" => Candidate::UpTo(Rung::Verify),
        "parse" => Candidate::UpTo(Rung::Parse),
        "claim" => Candidate::UpTo(Rung::Claim),
        "task" => Candidate::UpTo(Rung::Task),
        "answer" => Candidate::UpTo(Rung::Answer),
        "ours" => Candidate::Ours,
        "ours-by-default" => Candidate::OursByDefault,
        other => panic!("no candidate is called {other}"),
    };
    let port = port.parse().expect("the port is a number");
    let secret = std::env::var("SECRET").expect("SECRET is set");
    match &framework[..] {
        "axum" => axum::serve(candidate, port, &secret),
        "actix" => actix::serve(candidate, port, &secret),
        other => panic!("no framework is called {other}"),
    }
}

fn receiver(candidate: Candidate, secret: &str) -> Receiver {
    let builder = Receiver::circa(Secret::new(secret).expect("a good secret"));
    let builder = match candidate {
        Candidate::OursByDefault => builder,
        _ => builder.dedup(CompactMemoryStore::default()),
    };
    builder.build().expect("the defaults")
}

/// What every candidate's handler does with an event.
fn handle<T>(event: &T) {
    std::hint::black_box(event);
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

fn count() -> String {
    HANDLED.load(Ordering::Relaxed).to_string()
}
