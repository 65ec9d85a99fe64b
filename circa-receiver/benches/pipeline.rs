//! The whole pipeline in memory beside its verification and a typed parse: `cargo bench -p circa-receiver --bench pipeline`.
//!
//! Verify, envelope, claim, dispatch in a task, typed event, complete; fresh ids. Side by side in one run; ratios are what counts.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::{hint::black_box, time::Instant};

use bytes::Bytes;
use circa_receiver::{
    Event, HandlerError, PortableHandler, Receiver, Routes, Secret, Verifier,
    event::DatapointPulled,
    testing::{CircaSigner, fixtures},
};
use tokio::runtime::Runtime;

const SECRET: &str = "whsec_test_0123456789abcdef";
const ROUNDS: usize = 30;
const DELIVERIES: usize = 2_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut rounds: Vec<[f64; 3]> = Vec::new();
    let pipeline = Pipeline::new();
    let mut fresh = 0;
    for _ in 0..ROUNDS {
        let deliveries: Vec<_> = (0..DELIVERIES)
            .map(|_| {
                Delivery::new({
                    fresh += 1;
                    fresh
                })
            })
            .collect();
        rounds.push([
            time(|| deliveries.iter().for_each(|delivery| pipeline.verify(delivery))),
            time(|| deliveries.iter().for_each(|delivery| pipeline.parse(delivery))),
            time(|| deliveries.iter().for_each(|delivery| pipeline.receive(&runtime, delivery))),
        ]);
    }
    let median = |of: &dyn Fn(&[f64; 3]) -> f64| {
        let mut values: Vec<_> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    let delivery = Delivery::new(0);
    pipeline.receive(&runtime, &Delivery::new(usize::MAX));
    let allocations = allocation_counter::measure(|| pipeline.receive(&runtime, &delivery)).count_total;
    let typed = allocation_counter::measure(|| pipeline.parse(&delivery)).count_total;
    println!("body of {} B; medians of {ROUNDS} rounds of {DELIVERIES} deliveries", delivery.body.len());
    println!("verify only              {:>8.0} ns", median(&|round| round[0]));
    println!("typed parse only         {:>8.0} ns, {typed} allocations", median(&|round| round[1]));
    println!("whole pipeline           {:>8.0} ns, {allocations} allocations", median(&|round| round[2]));
    println!("pipeline beside the parse, to verification: {:.2}", median(&|round| (round[2] - round[1]) / round[0]));
}

struct Pipeline {
    verifier: Verifier,
    receiver: Receiver,
    routes: Routes<PortableHandler<()>>,
}

struct Delivery {
    body: Bytes,
    signature: String,
}

impl Delivery {
    fn new(id: usize) -> Self {
        let body = Bytes::from(fixtures()[0].with_id(&format!("evt_{id}")).body().to_owned());
        Self { signature: CircaSigner::new(SECRET).sign_now(&body), body }
    }

    fn headers(&self) -> [(&str, &[u8]); 1] {
        [("circa-signature", self.signature.as_bytes())]
    }
}

impl Pipeline {
    fn new() -> Self {
        let handler = async |event: Event<DatapointPulled>, (): ()| -> Result<(), HandlerError> {
            black_box(event.data());
            Ok(())
        };
        let receiver = Receiver::circa(Secret::new(SECRET).unwrap()).build().unwrap();
        Self { verifier: Verifier::circa(Secret::new(SECRET).unwrap()), receiver, routes: Routes::new().on(handler) }
    }

    fn verify(&self, delivery: &Delivery) {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
        black_box(self.verifier.verify(delivery.headers(), &delivery.body, now).is_ok());
    }

    fn parse(&self, delivery: &Delivery) {
        #[derive(serde::Deserialize)]
        struct Envelope {
            #[allow(dead_code)]
            data: DatapointPulled,
        }
        black_box(serde_json::from_slice::<Envelope>(&delivery.body).unwrap());
    }

    fn receive(&self, runtime: &Runtime, delivery: &Delivery) {
        let headers = delivery.headers();
        let head = ("POST", &headers[..]);
        let response = runtime.block_on(self.receiver.handle(&head, delivery.body.clone(), &self.routes, ()));
        assert_eq!(response.status(), 200);
    }
}

/// Nanoseconds per delivery.
fn time(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_nanos() as f64 / DELIVERIES as f64
}
