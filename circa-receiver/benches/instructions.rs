//! One part of a delivery, so many times: `instructions <part> <times>`.
//!
//! `tests/instructions.rs` runs it under callgrind. It makes its inputs before the first time, so
//! that two runs of different length differ by the part alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use circa_receiver::{
    AnyEvent, DedupStore, Event, HandlerError, MemoryStore, Receiver, Routes, Verified, Verifier,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce},
    event::DatapointPulled,
};
use circa_receiver_bench_support::{Delivery, secret};

/// Its name, and what runs it so many times.
type Part = (&'static str, fn(usize));

const PARTS: [Part; 8] = [
    ("hmac", hmac),
    ("header", header),
    ("verify", verify),
    ("envelope", envelope),
    ("typed", typed),
    ("claim", claim),
    ("route", route),
    ("pipeline", pipeline),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [name, times] = &arguments[..] else {
        // `cargo bench` and `cargo test --benches` run it without arguments.
        println!("usage: instructions <part> <times>; parts: {}", PARTS.map(|(name, _)| name).join(", "));
        return;
    };
    let (_, part) = PARTS.iter().find(|(part, _)| part == name).unwrap();
    part(times.parse().unwrap());
}

fn delivery(number: u64) -> Delivery {
    Delivery::pulled(number, 300)
}

/// The hash alone, to be subtracted: under callgrind it is software.
fn hmac(times: usize) {
    let delivery = delivery(1);
    let hmac = delivery.hmac();
    for _ in 0..times {
        black_box(hmac());
    }
}

/// A header that is malformed at its end: everything before the hash.
fn header(times: usize) {
    let (verifier, mut delivery) = (Verifier::circa(secret()), delivery(1));
    delivery.signature += ",malformed";
    for _ in 0..times {
        let verified = verifier.verify(black_box(delivery.headers()), &delivery.body[..], delivery.signed_at);
        assert!(black_box(verified).is_err());
    }
}

fn verify(times: usize) {
    each(times, |verified| drop(black_box(verified)));
}

fn envelope(times: usize) {
    each(times, |verified| drop(black_box(verified.event().unwrap())));
}

fn typed(times: usize) {
    each(times, |verified| {
        let event: AnyEvent = verified.event().unwrap();
        black_box(Event::<DatapointPulled>::try_from(event).unwrap());
    });
}

fn each(times: usize, run: impl Fn(Verified<'_, Bytes>)) {
    let (verifier, delivery) = (Verifier::circa(secret()), delivery(1));
    for _ in 0..times {
        let (headers, body) = (black_box(&delivery).headers(), delivery.body.clone());
        run(verifier.verify(headers, body, delivery.signed_at).unwrap());
    }
}

/// Claim and complete of fresh events.
fn claim(times: usize) {
    let store = MemoryStore::default();
    let keys: Vec<Key> = (0..MOST).map(|number| Key::new("circa", &format!("evt_{number:032}"))).collect();
    let (lease, retention) = (Duration::from_secs(60), Duration::from_secs(72 * 3_600));
    runtime().block_on(async {
        for (number, key) in (0..).zip(&keys[..times]) {
            let fingerprint = Fingerprint::from_bytes([7; 32]);
            let request = ClaimRequest::new(key, fingerprint, Nonce::new(number), lease, retention);
            let ClaimAnswer::Won(token) = store.claim(request).await.unwrap() else { panic!("the event is fresh") };
            assert!(store.complete(key, token, retention).await.unwrap());
        }
    });
}

/// Finding the handler among a hundred.
fn route(times: usize) {
    let name = |number: usize| format!("datapoint.pulled.{number}");
    let routes = (0..100).fold(Routes::new(), |routes, number| routes.insert_type(&name(number), number));
    let event_type = name(50);
    for _ in 0..times {
        black_box(routes.find(black_box(&event_type)));
    }
}

/// The whole pipeline, with fresh events and a typed handler.
fn pipeline(times: usize) {
    let handler = async |event: Event<DatapointPulled>, (): ()| -> Result<(), HandlerError> {
        black_box(event.data());
        Ok(())
    };
    let receiver = Receiver::circa(secret()).build().unwrap();
    let routes = Routes::new().on(handler);
    let deliveries: Vec<Delivery> = (0..MOST as u64).map(delivery).collect();
    runtime().block_on(async {
        for delivery in &deliveries[..times] {
            let head = ("POST", &delivery.headers()[..]);
            let response = receiver.handle(&head, delivery.body.clone(), &routes, ()).await;
            assert_eq!(response.status(), 200);
        }
    });
}

/// Inputs are made for the longest run, whatever the length of this one.
const MOST: usize = 600;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}
