//! What crosses a socket: forged deliveries, bodies that are odd, large, cut off or late, floods, a
//! stop, a bad start.
//!
//! The reference receivers run as processes. What needs a slow or failing handler runs in an app of
//! its own: see `handlers_over_real_sockets`.

mod authenticity;
mod bodies;
mod deliveries;
mod start_and_stop;

use std::time::{SystemTime, UNIX_EPOCH};

use circa_receiver::testing::CircaSigner;

use crate::support::{CIRCA_SECRET, Request};

const CIRCA: &str = "/webhooks/circa";
const MIB: usize = 1_024 * 1_024;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

fn signed_at(time: i64, body: &str) -> Request {
    Request::post(CIRCA)
        .header("Circa-Signature", CircaSigner::new(CIRCA_SECRET).sign(time, body.as_bytes()))
        .body(body)
}
