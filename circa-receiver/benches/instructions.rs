//! One part of a delivery, so many times: `instructions <part> <times>`. `tests/instructions.rs` runs it under callgrind.
//!
//! It measures nothing itself. Inputs are made before the first time, so that two runs of different length differ by the part alone.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use circa_receiver::{
    AnyEvent, DedupStore, Event, HandlerError, MemoryStore, Receiver, Routes, Secret, Verified, Verifier,
    dedup::{ClaimAnswer, ClaimRequest, Fingerprint, Key, Nonce},
    event::DatapointPulled,
    testing::{CircaSigner, FakeClock, Fixture, fixtures},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;

/// Runs a part so many times.
type Run = fn(usize);

/// The parts, by name.
const PARTS: [(&str, Run); 8] = [
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

/// A delivery with the headers that Circa sends.
struct Delivery {
    id: String,
    body: Bytes,
    signature: String,
}

impl Delivery {
    fn new(number: usize) -> Self {
        let id = format!("evt_{number:032}");
        let body = Bytes::from(Fixture::with_id(&fixtures()[0], &id).body().to_owned());
        // Shared already, as a server hands it over.
        drop(body.clone());
        Self { signature: CircaSigner::new(SECRET).sign(NOW, &body), id, body }
    }

    fn headers(&self) -> [(&str, &[u8]); 5] {
        [
            ("content-type", b"application/json"),
            ("circa-event", b"datapoint.pulled"),
            ("circa-event-id", self.id.as_bytes()),
            ("circa-webhook-id", b"wh_8c2a17a4"),
            ("circa-signature", self.signature.as_bytes()),
        ]
    }

    fn verified<'h>(&'h self, verifier: &Verifier) -> Verified<'h, Bytes> {
        verifier.verify(self.headers(), self.body.clone(), NOW).unwrap()
    }
}

fn verifier() -> Verifier {
    Verifier::circa(Secret::new(SECRET).unwrap())
}

/// The hash alone, to be subtracted: under callgrind it is software.
fn hmac(times: usize) {
    let (key, delivery) = (Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap(), Delivery::new(1));
    for _ in 0..times {
        let mut mac = key.clone();
        mac.update(b"1747000800");
        mac.update(b".");
        mac.update(black_box(&delivery.body));
        black_box(mac.finalize());
    }
}

/// A header that is malformed at its end: everything before the hash.
fn header(times: usize) {
    let (verifier, mut delivery) = (verifier(), Delivery::new(1));
    delivery.signature += ",malformed";
    for _ in 0..times {
        let verified = verifier.verify(black_box(delivery.headers()), &delivery.body[..], NOW);
        assert!(black_box(verified).is_err());
    }
}

fn verify(times: usize) {
    let (verifier, delivery) = (verifier(), Delivery::new(1));
    for _ in 0..times {
        let _ = black_box(black_box(&delivery).verified(&verifier));
    }
}

fn envelope(times: usize) {
    let (verifier, delivery) = (verifier(), Delivery::new(1));
    for _ in 0..times {
        black_box(black_box(&delivery).verified(&verifier).event().unwrap());
    }
}

fn typed(times: usize) {
    let (verifier, delivery) = (verifier(), Delivery::new(1));
    for _ in 0..times {
        let event: AnyEvent = black_box(&delivery).verified(&verifier).event().unwrap();
        black_box(Event::<DatapointPulled>::try_from(event).unwrap());
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
            let request = ClaimRequest::new(key, fingerprint, Nonce(number), lease, retention);
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
    let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).clock(FakeClock::at(NOW)).build().unwrap();
    let routes = Routes::new().on(handler);
    let deliveries: Vec<Delivery> = (0..MOST).map(Delivery::new).collect();
    runtime().block_on(async {
        for delivery in &deliveries[..times] {
            let headers = delivery.headers();
            let head = ("POST", &headers[..]);
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
