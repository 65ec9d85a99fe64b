//! A program of its own: `allocation-counter` replaces the allocator of the whole program.
//!
//! What observing costs in allocations: nothing that nobody observes, and with both observers less
//! than a handful a delivery.
#![cfg(all(feature = "metrics", feature = "tracing"))]
#![allow(clippy::unwrap_used)]

use circa_receiver::{
    AnyEvent, HandlerError, MetricsObserver, PortableHandler, Receiver, ReceiverBuilder, Routes, Secret,
    TracingObserver,
    testing::{CircaSigner, FakeClock},
};
use metrics_util::debugging::DebuggingRecorder;

const SECRET: &str = "whsec_test_0123456789abcdef";
const NOW: i64 = 1_747_000_800;
const DELIVERIES: u64 = 64;

struct Nothing;

impl circa_receiver::Observer for Nothing {}

fn builder() -> ReceiverBuilder {
    Receiver::circa(Secret::new(SECRET).unwrap()).clock(FakeClock::at(NOW))
}

fn routes() -> Routes<PortableHandler<()>> {
    Routes::new().fallback(async |_: AnyEvent, (): ()| -> Result<(), HandlerError> { Ok(()) })
}

/// The allocations of so many deliveries of fresh events, after as many others.
fn allocations(receiver: &Receiver) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let routes = routes();
    let requests: Vec<_> = (0..2 * DELIVERIES)
        .map(|number| {
            let body = format!(r#"{{"id":"evt_{number:04}","type":"webhook.test","created":{NOW},"livemode":false,"teamId":"t","data":{{}}}}"#);
            ([("circa-signature", CircaSigner::new(SECRET).sign(NOW, body.as_bytes()))], bytes::Bytes::from(body))
        })
        .collect();
    let (first, second) = requests.split_at(requests.len() / 2);
    let deliver = |requests: &[([(&str, String); 1], bytes::Bytes)]| {
        for (headers, body) in requests {
            let head = ("POST", &headers[..]);
            let response = runtime.block_on(receiver.handle(&head, body.clone(), &routes, ()));
            assert_eq!(response.status(), 200);
        }
    };
    deliver(first);
    allocation_counter::measure(|| deliver(second)).count_total
}

#[test]
fn who_is_not_observed_pays_nothing() {
    let unobserved = allocations(&builder().build().unwrap());
    let observed = allocations(&builder().observer(Nothing).build().unwrap());
    // The memory store's map may grow at other deliveries.
    assert!(observed.abs_diff(unobserved) <= 4, "{observed} with an observer, {unobserved} without");

    let recorder = DebuggingRecorder::new();
    let both = || builder().observer(TracingObserver).observer(MetricsObserver::new()).build().unwrap();
    let both = metrics::with_local_recorder(&recorder, both);
    let both = allocations(&both);
    assert!(both <= unobserved + 8 * DELIVERIES, "{both} with both observers, {unobserved} without");
}
